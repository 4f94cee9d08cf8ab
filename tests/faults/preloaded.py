"""What a sweep imports, so that a process forked from one that has it begins at once.

No more is computed than what the page of every report begins with: threads of a computation would not survive a fork,
and their locks would stay locked.
"""

import importlib

import torch

from stance_suite.reports.page.assets import scripts

for name in (
    "altair",
    "pandas",
    "pyarrow.parquet",
    "rich.progress",
    "scipy.stats",
    "sentence_transformers",
    "transformers.models.llama.modeling_llama",
    "stance_suite.cli",
    "stance_suite.pipeline",
    "stance_suite.publish",
    "stance_suite.sweeping",
    "stance_suite.tensor",
):
    importlib.import_module(name)
torch.set_num_threads(1)
scripts()
