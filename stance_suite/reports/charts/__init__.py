"""Every picture once: Vega-Lite specifications over named data, drawn in the page's browser and into files alike.

A specification holds no data. A page hands rows over as its ``datasets``, a file is drawn from the same rows; whatever
is derived from them, a transform inside the specification derives.
"""

from stance_suite.reports.charts.behavior import effects, prompts
from stance_suite.reports.charts.data import Datasets, Rows, epoch_data, prompt_data, spectrum_data
from stance_suite.reports.charts.spectra import esd, tail_choice
from stance_suite.reports.charts.theme import PAGE, PRINT, Spec, Theme, Width, stacked
from stance_suite.reports.charts.training import alphas, preference

__all__ = [
    "PAGE",
    "PRINT",
    "Datasets",
    "Rows",
    "Spec",
    "Theme",
    "Width",
    "alphas",
    "effects",
    "epoch_data",
    "esd",
    "preference",
    "prompt_data",
    "prompts",
    "spectrum_data",
    "stacked",
    "tail_choice",
]
