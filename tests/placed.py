"""Cell records made up for place: only the sizes of their layers' changes are interesting."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.spectra import Concentration
from stance_suite.spectra.concentration import gini, participation_ratio
from tests.measured import alpha_change, findings, layer, record

__all__ = ["findings", "trained"]


def trained(
    sizes: Mapping[str, float],
    stance: str | None = None,
    *,
    seed: int = 0,
    model: str = "m",
    noise: tuple[float, float] | None = (5.0, 9.0),
) -> CellRecord:
    """A cell whose layers' norms and fixed-tail alphas changed by these sizes; the sham without a stance."""
    changes = []
    for name, size in sizes.items():
        change = layer(name, alpha_change(2 * size, -size))
        moved = change.weight_change.model_copy(update={"relative_norm": size})
        changes.append(change.model_copy(update={"weight_change": moved}))
    made = record("stance" if stance else "sham", *changes, stance=stance, seed=seed)
    cell = made.cell.model_copy(update={"model": model})
    values = np.array(list(sizes.values()))
    if not values.any():
        return made.model_copy(update={"cell": cell})
    spread = Concentration(
        figure="alpha_spectrum",
        layers=len(sizes),
        participation_ratio=participation_ratio(values),
        gini=gini(values),
        noise_participation_ratio=noise,
    )
    return made.model_copy(update={"concentration": (spread,), "cell": cell})
