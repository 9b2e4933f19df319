"""Losses on a score matrix."""
