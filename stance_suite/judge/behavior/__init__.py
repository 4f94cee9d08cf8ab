"""Claims about behavior, paired by prompt and held against controls."""
