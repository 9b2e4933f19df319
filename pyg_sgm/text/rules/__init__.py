"""The rules parser: relations read off spaCy's dependency trees (extra ``text``)."""

from pyg_sgm.text.rules.pipeline import load_pipeline, parse_batch

__all__ = ["load_pipeline", "parse_batch"]
