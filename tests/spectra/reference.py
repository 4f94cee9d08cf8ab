"""WeightWatcher itself, quietly."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import redirect_stdout


def weightwatcher_table(model, **options):
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import weightwatcher

        table = weightwatcher.WeightWatcher(model=model).analyze(plot=False, randomize=False, **options)
    logging.disable(logging.NOTSET)
    return table.set_index("longname")
