"""All that a run loads, and its own modules, after a page was rendered: templates and charts are compiled once.

Nothing is computed by what has threads, torch or the drawing of pictures: they would not survive a fork.
"""

import gc
import importlib
import pkgutil
from pathlib import Path

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

from stance_suite.config.catalog import load_catalog  # noqa: E402
from stance_suite.report.page import render_html  # noqa: E402
from stance_suite.report.pictures import pictures  # noqa: E402
from tests.made_up_run import whole_run  # noqa: E402

run = whole_run(load_catalog(Path(__file__).parent.parent / "fixtures"))
render_html(run)
list(pictures(run))
del run
gc.freeze()  # what is loaded stays: no process forked from this one looks through it for garbage
