"""Claims about weights, layer by layer and held against controls."""
