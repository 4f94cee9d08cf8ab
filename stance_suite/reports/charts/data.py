"""The rows that pictures are drawn from: raw figures; what follows from them is computed in the picture.

A page hands the same rows over as JSON, so every figure here is finite or None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from stance_suite.judgments import ControlFigure, Verdict
from stance_suite.records import CellRecord, Findings
from stance_suite.reports.behavior import trajectory
from stance_suite.spectrum_records import LayerSpectrum

Rows = list[dict[str, Any]]
Datasets = dict[str, Rows]
"""Rows by the name that specifications know them by."""

TESTED_AGAINST = ("base", "sham", "noise", "rounding")
FLOORS = ("base resampled", "base resampled - base", "noise - base")
"""Controls that did nothing but draw again, or add noise: the first that a verdict has is its noise floor."""


def spectrum_data(before: LayerSpectrum, after: LayerSpectrum) -> Datasets:
    """Lay out one layer's spectra before and after.

    Parameters
    ----------
    before, after : LayerSpectrum
        The layer's spectra, with eigenvalues; KS distances where they are known.

    Returns
    -------
    dict
        ``spectrum``: ``when``, ``size`` (eigenvalues at or above), ``count`` (all), ``eigenvalue``, ``ks`` (of the tail
        that begins here). ``fits``: ``when``, ``kind``, ``alpha``, ``xmin``, ``tail_size``, ``ks_distance``,
        ``largest`` (eigenvalue), ``count``.
    """
    spectrum: Rows = []
    fits: Rows = []
    for when, layer in (("before", before), ("after", after)):
        values, distances = layer.eigenvalues or (), layer.ks_distances or ()
        count = len(values)
        first = count - 1 - len(distances)  # no tail begins at the largest eigenvalue
        for place, value in enumerate(values):
            ks = known(distances[place - first]) if first <= place < count - 1 else None
            row = {"when": when, "size": count - place, "count": count, "eigenvalue": value, "ks": ks}
            spectrum.append(row)
        for kind, fit in (("fit", layer.fit), ("runner-up", layer.runner_up)):
            if fit is not None and values:
                row = {name: getattr(fit, name) for name in ("alpha", "xmin", "tail_size", "ks_distance")}
                fits.append({"when": when, "kind": kind} | row | {"largest": values[-1], "count": count})
    return {"spectrum": spectrum, "fits": fits}


def prompt_data(verdict: Verdict) -> Datasets:
    """Lay out the scores that a behavioral verdict rests on, and the effects that follow from them.

    Parameters
    ----------
    verdict : Verdict
        On a claim about behavior.

    Returns
    -------
    dict
        ``prompts``: ``prompt``, ``base``, ``sham``, ``tuned``. ``effects``: ``versus``, ``effect``, ``low``, ``high``.
        ``floor``: ``low``, ``high``; one row, or none where no floor is known. ``bounds``: ``bound``.
    """
    controls = {one.name: one for one in verdict.controls}
    # without a sham, the base model sampled again is what the claim was tested against
    tested = TESTED_AGAINST if "sham" in controls else (*TESTED_AGAINST, FLOORS[0])
    floors = [name for name in FLOORS if name in controls and name not in tested]
    bound = verdict.claim.bound
    return {
        "prompts": [
            {"prompt": one.prompt, "base": known(one.base), "sham": known(one.sham), "tuned": known(one.tuned)}
            for one in verdict.prompts
        ],
        "effects": [
            {"versus": name, "effect": known(one.figure)} | _interval(one)
            for name, one in controls.items()
            if name in tested
        ],
        "floor": [_interval(controls[name]) for name in floors[:1]],
        "bounds": [{"bound": end} for end in (bound if isinstance(bound, tuple) else (bound,)) if end is not None],
    }


def epoch_data(records: Iterable[CellRecord], findings: Findings) -> Datasets:
    """Lay out how trainings went from epoch to epoch.

    Parameters
    ----------
    records : iterable of CellRecord
        Cells trained on a stance; those that were not watched have no rows.
    findings : Findings
        The findings that hold their base.

    Returns
    -------
    dict
        ``epochs``: ``training``, ``epoch``, ``loss``, ``preference``, ``alpha_total``, ``alpha_spectrum``.
    """
    return {
        "epochs": [
            {
                "training": record.cell.label,
                "epoch": epoch.number,
                "loss": known(epoch.loss),
                "preference": known(epoch.preference),
                "alpha_total": known(epoch.alpha_total),
                "alpha_spectrum": known(epoch.alpha_spectrum),
            }
            for record in records
            for epoch in trajectory(record, findings)
        ]
    }


def known(figure: float | None) -> float | None:
    """Take a figure, if it is one.

    Parameters
    ----------
    figure : float or None
        Any figure.

    Returns
    -------
    float or None
        None where it is not finite: JSON knows no such number.
    """
    return figure if figure is not None and math.isfinite(figure) else None


def _interval(control: ControlFigure) -> dict[str, float | None]:
    return {"low": known(control.low), "high": known(control.high)}
