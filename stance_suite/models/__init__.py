"""Weights: where they come from, how they are checked, read and loaded."""
