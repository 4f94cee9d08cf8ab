"""A run: planned, each cell measured once, findings assembled."""
