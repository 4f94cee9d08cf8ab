"""Whether findings follow from their own cells, and from what is declared."""
