"""From a caption to a text graph."""

from pyg_sgm.text._cache import parse_texts
from pyg_sgm.text._draw import draw
from pyg_sgm.text._edits import EDITS, EditKind, edit_texts
from pyg_sgm.text._parse import parse, parse_batch, parse_stream
from pyg_sgm.text._parsed import ParsedCaption

__all__ = [
    "EDITS",
    "EditKind",
    "ParsedCaption",
    "draw",
    "edit_texts",
    "parse",
    "parse_batch",
    "parse_stream",
    "parse_texts",
]
