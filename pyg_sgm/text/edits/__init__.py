"""False captions for training and probes."""

from pyg_sgm.text.edits.edit import EDITS, EditKind, edit_texts

__all__ = ["EDITS", "EditKind", "edit_texts"]
