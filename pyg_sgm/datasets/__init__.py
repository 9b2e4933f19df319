"""Readers, one file a format, and a synthetic world."""
