"""False captions for training and probes."""

from pyg_sgm.text.edits.edit import EDITS, WORDINGS, Edit, EditKind, Wording, edit_texts, make_edits
from pyg_sgm.text.edits.swap import reversible_pairs

__all__ = [
    "EDITS",
    "WORDINGS",
    "Edit",
    "EditKind",
    "Wording",
    "edit_texts",
    "make_edits",
    "reversible_pairs",
]
