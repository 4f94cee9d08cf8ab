"""Claims and measurements to verdicts: pure functions, without torch and without files."""
