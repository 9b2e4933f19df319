"""Models, one paper a file."""

from pyg_sgm.models.base import Encoding, GraphSizes, Matcher
from pyg_sgm.models.sgm import SGM, SGMEncoding

MODELS: dict[str, type[Matcher]] = {"sgm": SGM}

__all__ = ["MODELS", "SGM", "Encoding", "GraphSizes", "Matcher", "SGMEncoding"]
