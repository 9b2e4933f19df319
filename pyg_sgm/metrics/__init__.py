"""Retrieval and parser metrics."""
