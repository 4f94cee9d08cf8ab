"""Localized or distributed: do few layers take up a stance? Trainings vary; layers are a fixed set and no sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from stance_suite.judge.statistics import CONFIDENCE, Array, quantile, standard_error
from stance_suite.judge.structure.optimizer import is_alike, predict_share
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import SHAM
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_names import block
from stance_suite.schema.localization import Encoding, Figure, Localization
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.spectra import LayerChange
from stance_suite.spectra.concentration import gini, participation_ratio

LOCALIZED_BELOW = 0.5
"""A change is localized if it is shared by fewer layers than this part of the controls' fewest."""


@dataclass(frozen=True)
class _Spread:
    """How one training's change is spread over the layers."""

    layers: int
    share: float
    gini: float
    noise: tuple[float, float] | None


def localize(findings: Findings) -> tuple[Localization, ...]:
    """Tell of every model, recipe, family and figure whether few layers carry the change.

    First of all stances together, if there are several, then of each by itself. The interval is Student's t over
    stances or over seeds; over both, if there are several of both, as crossed random factors
    (`standard_error`), with the seeds that all stances have. ``localized`` and ``distributed`` are said
    only if the whole interval lies on one side of half the fewest layers that any control shows: the sham of any of
    these seeds and, of alpha, the lower end of the noise's 95 % range.
    """
    index = CellIndex(findings.cells)
    families: dict[tuple[str, str | None, str], list[Mapping[int, CellRecord]]] = {}
    for cells in index.trainings:
        cell = cells[0].cell
        trainings = families.setdefault((cell.model, cell.recipe, cells[0].family), [])
        if cell.stance is not None:
            trainings.append({record.cell.seed: record for record in cells})
    found = []
    for trainings in families.values():
        sets = [trainings] if len(trainings) > 1 else []
        sets += [[one] for one in trainings]
        found += [_localization(index, one, figure) for figure in get_args(Figure) for one in sets]
    return tuple(found)


def change_size(change: LayerChange, figure: Figure) -> float | None:
    """Take the size of one matrix's change: dW's norm over W's, or alpha's change, the tail held fixed, in percent."""
    if figure == "alpha_spectrum":
        return None if change.alpha_change is None else abs(change.alpha_change.spectrum)
    if change.failure is not None:
        return None
    return 0.0 if change.weight_change is None else change.weight_change.relative_norm


def _localization(index: CellIndex, trainings: Sequence[Mapping[int, CellRecord]], figure: Figure) -> Localization:
    first = next(iter(trainings[0].values()))
    seeds = sorted(set.intersection(*map(set, trainings)))
    spreads = [_spread(cells[seed], figure) for cells in trainings for seed in seeds]
    known = [one for one in spreads if one is not None]
    complete = bool(seeds) and len(known) == len(spreads)
    shares = np.reshape([one.share for one in known], (len(trainings), len(seeds))) if complete else None
    interval = None if shares is None else _interval(shares)
    low, high = interval or (None, None)
    shams = [index.control(trainings[0][seed], SHAM) for seed in seeds]
    sham_spreads = [None if sham is None else _spread(sham, figure) for sham in shams]
    sham_share = _range([None if one is None else one.share for one in sham_spreads])
    noise_share = _range([end for one in known for end in (one.noise or (None,))])
    share = None if shares is None else float(shares.mean())
    optimizer_share = _optimizer_share(index, trainings[0][seeds[0]]) if seeds and figure == "relative_norm" else None
    alike = [] if sham_share is None or figure != "relative_norm" else list(sham_share)
    alike += [] if optimizer_share is None else [optimizer_share]
    return Localization(
        model=first.cell.model,
        recipe=first.cell.recipe or "",
        family=first.family,
        stance=first.cell.stance if len(trainings) == 1 else None,
        figure=figure,
        layers=min((one.layers for one in known), default=0),
        stances=len(trainings),
        seeds=len(seeds),
        share=share,
        low=low,
        high=high,
        gini=float(np.mean([one.gini for one in known])) if complete else None,
        sham_share=sham_share,
        noise_share=noise_share,
        optimizer_share=optimizer_share,
        encoding=_encoding(interval, [sham_share] if figure == "relative_norm" else [sham_share, noise_share]),
        caveats=(Caveat.OPTIMIZER,) if share is not None and any(is_alike(share, one) for one in alike) else (),
    )


def _optimizer_share(index: CellIndex, record: CellRecord) -> float | None:
    base = index.base(record)
    inside = [
        one.name
        for one in record.changes
        if block(one.name) is not None and change_size(one, "relative_norm") is not None
    ]
    return None if base is None else predict_share(base, inside)


def _encoding(interval: tuple[float, float] | None, controls: Sequence[tuple[float, float] | None]) -> Encoding:
    known = [control for control in controls if control is not None]
    if interval is None or len(known) < len(controls):
        return Encoding.UNDECIDED
    bound = LOCALIZED_BELOW * min(low for low, _ in known)
    if interval[1] < bound:
        return Encoding.LOCALIZED
    return Encoding.DISTRIBUTED if interval[0] >= bound else Encoding.UNDECIDED


def _interval(shares: Array) -> tuple[float, float] | None:
    """Find the 95 % interval of a mean share; shape (stances, seeds). None if the trainings tell no spread."""
    if shares.size < 2:
        return None
    table = shares if min(shares.shape) > 1 else shares.reshape(1, -1)
    error, of_stances = map(float, standard_error(table))
    mean = float(shares.mean())
    if not error > 1e-12 * mean:  # trainings that are equal up to rounding are one training
        return None
    reach = error * float(quantile(of_stances, table.shape[0], table.shape[1], CONFIDENCE))
    return max(0.0, mean - reach), min(1.0, mean + reach)


def _range(values: Sequence[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known and len(known) == len(values) else None


def _spread(record: CellRecord, figure: Figure) -> _Spread | None:
    if figure == "relative_norm":
        inside = [change for change in record.changes if block(change.name) is not None]
        sizes = np.array([size for change in inside if (size := change_size(change, figure)) is not None])
        if not sizes.any() or not np.isfinite(sizes).all():
            return None
        return _Spread(len(sizes), participation_ratio(sizes) / len(sizes), gini(sizes), None)
    # as recorded, because only the record knows how noise spreads over the very same layers
    for one in record.concentration:
        if one.figure == figure and math.isfinite(one.participation_ratio):
            noise = one.noise_participation_ratio
            drawn = None if noise is None else (noise[0] / one.layers, noise[1] / one.layers)
            return _Spread(one.layers, one.participation_ratio / one.layers, one.gini, drawn)
    return None
