"""The pytest plugin: hooks, fixtures, the collecting of verdicts."""
