"""A search service with a page: needs the extra ``serve``."""

from pyg_sgm.serve.app import create_app
from pyg_sgm.serve.server import is_local, listen, make_server

__all__ = ["create_app", "is_local", "listen", "make_server"]
