"""How often do the tests of behavioral claims err? For data of several shapes, over items and over seeds.

A claim's bound is the true effect, so that every HOLDS and every FAILS is false; for power it is half a standard
deviation below. Prints the table of docs/evidence.md: ``python -m benchmarks.calibration``, about a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stance_suite.judge.statistics import (
    CONFIDENCE,
    LEAST_INFORMATIVE,
    Array,
    informative,
    paired_effect,
    quantile,
    reach,
    skewness,
    standard_error,
)

Drawn = Callable[[np.random.Generator, tuple[int, ...]], Array]
Shape = tuple[float, Drawn]
"""The true mean, and how differences are drawn."""

ITEMS, SEEDS = (12, 16, 32), (1, 2, 3, 5)
REPETITIONS = 20_000
OF_SEEDS = 0.3
"""Standard deviation over seeds, as a share of that over items."""
POWER_AT = 0.5
"""How far beyond the bound the effect is, in standard deviations over items."""


def _spoken(tuned: float, base: float) -> Drawn:
    """Differences of shares of two samples, which are most of them equal where the shares are near 0 or 1."""
    return lambda rng, size: (rng.binomial(2, tuned, size) - rng.binomial(2, base, size)) / 2


def _shares(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Differences of shares of two samples: five values, most of them equal."""
    return (rng.binomial(2, 0.15, size) - rng.binomial(2, 0.05, size)) / 2


SHAPES: dict[str, Shape] = {
    "normal": (0.0, lambda rng, size: rng.standard_normal(size)),
    "skewed (exponential)": (1.0, lambda rng, size: rng.exponential(1.0, size)),
    "skewed (log-normal)": (float(np.exp(0.28125)), lambda rng, size: np.exp(0.75 * rng.standard_normal(size))),
    "heavy-tailed (t, 3 degrees)": (0.0, lambda rng, size: rng.standard_t(3, size)),
    "tied (shares of two)": (0.1, _shares),
    "share, near one": (0.96, _spoken(0.97, 0.01)),
    "share, near zero": (0.03, _spoken(0.04, 0.01)),
    "share, one of two": (0.98, lambda rng, size: (rng.random(size) < 0.98).astype(float)),
    "zero-inflated (80 %)": (0.2, lambda rng, size: (rng.random(size) < 0.2) * (rng.standard_normal(size) + 1)),
    "zero-inflated, skewed (70 %)": (0.3, lambda rng, size: (rng.random(size) < 0.3) * rng.exponential(1.0, size)),
}


def draw(shape: Shape, seeds: int, items: int, rng: np.random.Generator, largest: float) -> Array:
    """Draw tables (repetitions, seeds, items): half the variance is the items' own, under every seed."""
    mean, drawn = shape
    if seeds == 1:
        return drawn(rng, (REPETITIONS, 1, items)) - mean
    common, own = (drawn(rng, (REPETITIONS, many, items)) - mean for many in (1, seeds))
    if largest < np.inf:  # a mixture, as a weighted sum would exceed the limits; a seed's own shift would, too
        return np.where(rng.random((REPETITIONS, 1, items)) < 0.5, common, own)
    scale = float(np.std(own))
    of_seeds = OF_SEEDS * scale * rng.standard_normal((REPETITIONS, seeds, 1))
    tables: Array = (common + own) / np.sqrt(2) + of_seeds
    return tables


def rates(tables: Array, mean: float, largest: float) -> tuple[float, float, float]:
    """Tell how often a claim whose bound is the truth HOLDS and FAILS, and one whose truth is beyond it HOLDS."""
    seeds, items = tables.shape[-2:]
    tested = np.array([informative(table) >= LEAST_INFORMATIVE for table in tables])
    with np.errstate(invalid="ignore", divide="ignore"):
        means, (errors, of_seeds), skewed = tables.mean(axis=(-2, -1)), standard_error(tables), skewness(tables)
        distance = quantile(of_seeds, seeds, items, CONFIDENCE)
        low = means - errors * reach(skewed, distance, items)
        high = means + errors * reach(-skewed, distance, items)
    if largest < np.inf:
        ends = {}
        for place in np.flatnonzero(~tested):
            key = tuple(sorted(np.round(tables[place].mean(axis=0) + mean, 9).tolist()))
            if key not in ends:
                ends[key] = paired_effect(np.array(key), largest).interval(CONFIDENCE)
            low[place], high[place] = np.array(ends[key]) - mean
        tested[:] = True
    beyond = POWER_AT * np.std(tables)
    return tuple(float(np.mean(tested & decided)) for decided in (low > 0, high < 0, low + beyond > 0))  # type: ignore[return-value]


def main() -> None:
    """Print the table."""
    print("| differences | items | seeds | false HOLDS (%) | false FAILS (%) | together (%) | power (%) |")
    print("|---|---|---|---|---|---|---|")
    for name, shape in SHAPES.items():
        largest = 1.0 if name.startswith("share") else np.inf
        for items in ITEMS:
            for seeds in SEEDS:
                tables = draw(shape, seeds, items, np.random.default_rng([items, seeds]), largest)
                holds, fails, power = rates(tables, shape[0], largest)
                figures = (f"{100 * one:.1f}" for one in (holds, fails, holds + fails, power))
                print(f"| {name} | {items} | {seeds} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
