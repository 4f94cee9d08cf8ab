"""Universality: do models of different sizes change at the same relative depth?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, get_args

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.judge.structure.localization import change_size
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import SHAM
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_names import ATTENTION, MLP, Role, block, blocks, relative_depth, role
from stance_suite.schema.localization import DepthProfile, Figure, ProfileCorrelation, RoleGroup, Universality

FEWEST_BINS = 4
"""Fewer bins of depth have no rank correlation worth the name."""
FEWEST_TESTED = 20
"""Of fewer bins no shift is so rare that 5 % could be reached: the profile as it is counts as one."""

ROLES_OF_GROUP: dict[RoleGroup, frozenset[Role]] = {"all": frozenset(Role), "attention": ATTENTION, "mlp": MLP}


def universality(findings: Findings) -> Universality:
    """Profile every model's changes over depth, and correlate every pair of models under the same recipe."""
    trained: dict[str, dict[str, list[CellRecord]]] = {}
    for record in findings.cells:
        if record.cell.recipe is not None:
            trained.setdefault(record.cell.recipe, {}).setdefault(record.cell.model, []).append(record)
    profiles: list[DepthProfile] = []
    correlations: list[ProfileCorrelation] = []
    for (recipe, models), figure, group in product(trained.items(), get_args(Figure), ROLES_OF_GROUP):
        changes = {model: _ChangeByDepth.of(records, figure, group) for model, records in models.items()}
        known = {model: change for model, change in changes.items() if any(change.sizes.values())}
        about = {"recipe": recipe, "figure": figure, "group": group}
        profiles += [_profile(model, change, about) for model, change in known.items()]
        correlations += [_correlation(pair, known, about) for pair in combinations(known, 2)]
    return Universality(profiles=tuple(profiles), correlations=tuple(correlations))


def correlate_profiles(ours: Array, theirs: Array) -> tuple[float, float] | None:
    """Correlate two profiles over depth, shape (bins,), and test it by shifting one of them around.

    Found are Spearman's rank correlation, and the share of all shifts, the one by nothing included, that correlate
    at least as much; None if there are fewer than four bins, one of them is empty (NaN), or a profile is flat.
    Neighboring blocks change alike, so that bins are not independent and the usual p-value of a correlation is far
    too small. A profile shifted circularly keeps its smoothness and loses its place. On unrelated profiles of 24 to
    40 bins, 3 to 6 % of p-values are at most 0.05 where profiles are autocorrelated (of Spearman's own, 15 to 26
    %), but 11 to 14 % (28 to 34 %) where they drift like random walks.
    """
    from scipy.stats import rankdata

    if len(ours) < FEWEST_BINS or not np.isfinite([ours, theirs]).all() or not np.ptp(ours) or not np.ptp(theirs):
        return None
    ranks = rankdata([ours, theirs], axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    ranks /= np.linalg.norm(ranks, axis=1, keepdims=True)
    shifted = np.array([ranks[0] @ np.roll(ranks[1], shift) for shift in range(len(ours))])
    return float(shifted[0]), float(np.mean(shifted >= shifted[0] - 1e-9))


@dataclass(frozen=True)
class _ChangeByDepth:
    """Sizes of a model's changes by layer, averaged over trainings."""

    blocks: int
    sizes: dict[str, float]
    """Under the stances."""
    sham: dict[str, float]

    @classmethod
    def of(cls, records: Sequence[CellRecord], figure: Figure, group: RoleGroup) -> _ChangeByDepth:
        trained = [record for record in records if record.cell.is_on_stance]
        shams = [record for record in records if record.cell.control is SHAM]
        count = blocks(change.name for record in records for change in record.changes)
        return cls(count, *(_mean_sizes(some, figure, group) for some in (trained, shams)))

    def binned(self, sizes: dict[str, float], bins: int) -> Array:
        """Average over bins of depth; shape (bins,), NaN where there is no layer."""
        inside: list[list[float]] = [[] for _ in range(bins)]
        for name, size in sizes.items():
            place = block(name)
            assert place is not None
            inside[place * bins // self.blocks].append(size)
        return np.array([np.mean(values) if values else math.nan for values in inside])


def _mean_sizes(records: Sequence[CellRecord], figure: Figure, group: RoleGroup) -> dict[str, float]:
    sizes: dict[str, list[float]] = {}
    for change in (change for record in records for change in record.changes):
        size = change_size(change, figure)
        inside = block(change.name) is not None and role(change.name) in ROLES_OF_GROUP[group]
        if inside and size is not None and math.isfinite(size):
            sizes.setdefault(change.name, []).append(size)
    return {name: float(np.mean(values)) for name, values in sizes.items()}


def _profile(model: str, change: _ChangeByDepth, about: dict[str, Any]) -> DepthProfile:
    most = max(change.sizes, key=change.sizes.__getitem__)
    most_of_sham = max(change.sham, key=change.sham.__getitem__) if change.sham else None
    depth = relative_depth(most, change.blocks)
    assert depth is not None
    return DepthProfile(
        **about,
        model=model,
        most_changed=most,
        most_changed_depth=depth,
        sham_most_changed=most_of_sham,
        sham_most_changed_depth=None if most_of_sham is None else relative_depth(most_of_sham, change.blocks),
    )


def _correlation(
    models: tuple[str, str], changes: dict[str, _ChangeByDepth], about: dict[str, Any]
) -> ProfileCorrelation:
    ours, theirs = changes[models[0]], changes[models[1]]
    bins = min(ours.blocks, theirs.blocks)
    found = correlate_profiles(ours.binned(ours.sizes, bins), theirs.binned(theirs.sizes, bins))
    sham = correlate_profiles(ours.binned(ours.sham, bins), theirs.binned(theirs.sham, bins))
    correlation, p_value = found or (None, None)
    reason = ""
    if found is not None and bins < FEWEST_TESTED:
        p_value = None
        reason = f"{bins} bins of depth: no arrangement can reach 5 %, for which {FEWEST_TESTED} are needed"
    return ProfileCorrelation(
        **about,
        models=models,
        bins=bins,
        correlation=correlation,
        p_value=p_value,
        reason=reason,
        sham_correlation=None if sham is None else sham[0],
    )
