"""Matching, ranking and explaining."""
