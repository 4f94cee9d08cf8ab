"""Every picture once: Vega-Lite specifications over named data, drawn in the page's browser and into files alike.

A specification holds no data. A page hands rows over as its ``datasets``, a file is drawn from the same rows; whatever
is derived from them, a transform inside the specification derives. Specifications are made once and shared: they are
combined with others, never changed.
"""

from stance_suite.report.charts.behavior import effects, prompts
from stance_suite.report.charts.confusion import confusion
from stance_suite.report.charts.data import (
    Datasets,
    confusion_data,
    epoch_data,
    layer_data,
    measure,
    prompt_data,
    spectrum_data,
    verdict_data,
)
from stance_suite.report.charts.layers import layers
from stance_suite.report.charts.spectra import esd, tail_choice
from stance_suite.report.charts.theme import PAGE, PRINT, Spec, stacked, titled
from stance_suite.report.charts.training import alphas, preference
from stance_suite.report.charts.verdicts import verdicts

__all__ = [
    "PAGE",
    "PRINT",
    "Datasets",
    "Spec",
    "alphas",
    "confusion",
    "confusion_data",
    "effects",
    "epoch_data",
    "esd",
    "layer_data",
    "layers",
    "measure",
    "preference",
    "prompt_data",
    "prompts",
    "spectrum_data",
    "stacked",
    "tail_choice",
    "titled",
    "verdict_data",
    "verdicts",
]
