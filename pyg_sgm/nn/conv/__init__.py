"""Message passing layers."""
