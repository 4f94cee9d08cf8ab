"""The libraries that a run loads. Nothing is computed: a computation's threads would not survive a fork."""

import gc
import importlib

for name in (
    "accelerate",
    "altair",
    "pandas",
    "peft",
    "pyarrow.parquet",
    "rich.progress",
    "safetensors.torch",
    "scipy.stats",
    "sentence_transformers",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "typer",
):
    importlib.import_module(name)

gc.freeze()  # half a million objects, which every training of a forked program would search for garbage
