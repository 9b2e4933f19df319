"""Files from outside: read once, and every mistake named by file and record."""
