"""From a caption to a text graph."""
