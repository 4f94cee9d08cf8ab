"""Behavioral and structural regression tests for fine-tuned language models, judged against controls.

Importing this package is free: torch, transformers and the rest are imported where they are used, so that pytest's
start-up is not slowed in test suites that only have the plugin installed.
"""

__version__ = "0.1.0"
