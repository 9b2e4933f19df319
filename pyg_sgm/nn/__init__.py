"""Modules built on :mod:`pyg_sgm.ops`."""
