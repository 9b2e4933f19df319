"""From a caption to a text graph."""

import importlib
import warnings

from pyg_sgm.text.cache import parse_texts
from pyg_sgm.text.edits import (
    EDITS,
    WORDINGS,
    Edit,
    EditKind,
    Wording,
    edit_texts,
    make_edits,
    reversible_pairs,
)
from pyg_sgm.text.encoder import TextEncoder, open_text_encoder
from pyg_sgm.text.label_reading import label_features
from pyg_sgm.text.parsed_caption import ParsedCaption
from pyg_sgm.text.parsing import Backend, parse, parse_batch, parse_stream
from pyg_sgm.text.phrasing import drop_denied_words, graph_record
from pyg_sgm.text.vector_cache import word_features

__all__ = [
    "EDITS",
    "WORDINGS",
    "Backend",
    "Edit",
    "EditKind",
    "ParsedCaption",
    "TextEncoder",
    "Wording",
    "drop_denied_words",
    "edit_texts",
    "graph_record",
    "label_features",
    "make_edits",
    "open_text_encoder",
    "parse",
    "parse_batch",
    "parse_stream",
    "parse_texts",
    "reversible_pairs",
    "word_features",
]


def __getattr__(name: str) -> object:
    if name == "draw":  # moved in 0.2
        warnings.warn("pyg_sgm.text.draw is pyg_sgm.viz.draw_caption", DeprecationWarning, 2)
        return importlib.import_module("pyg_sgm.viz").draw_caption
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
