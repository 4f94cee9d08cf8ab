"""All that a run loads, and its own modules. Nothing is computed: a computation's threads would not survive a fork."""

import gc
import importlib
import pkgutil

import stance_suite

LIBRARIES = (
    "accelerate",
    "altair",
    "pandas",
    "peft",
    "pyarrow.parquet",
    "pytest",
    "rich.progress",
    "safetensors.torch",
    "scipy.stats",
    "sentence_transformers",
    "transformers.models.llama.modeling_llama",
    "transformers.trainer",
    "typer",
    "vl_convert",
)
OURS = [module.name for module in pkgutil.walk_packages(stance_suite.__path__, "stance_suite.")]
for name in (*LIBRARIES, *OURS):
    importlib.import_module(name)
gc.freeze()  # what is loaded stays: no process forked from this one looks through it for garbage
