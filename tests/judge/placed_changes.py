"""Structural claims and replicates made up for judging."""

from __future__ import annotations

import math

import numpy as np

from stance_suite.schema.claims import Claim
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import (
    Concentration,
    LayerChange,
    NoiseRange,
    RoundingControl,
    VectorChange,
    kept_ranks,
)
from tests.measured import alpha_change, beside, layer, record, vector

NAMES = tuple(f"model.layers.{index}.mlp.up_proj" for index in range(10))


def claim(**changes) -> Claim:
    declared = {"id": "s", "statement": "Alpha of the layers drops.", "model": "m", "stance": "a", "layer": "*"}
    return Claim(**declared | {"metric": "alpha_change_percent", "comparator": "above", "bound": 5} | changes)


def moved(*alphas: float | None, noise: tuple[float, float] | None = (-0.1, 0.1), start: int = 0) -> list[LayerChange]:
    """Layers whose alphas changed by these percentages, the tail fixed or not; of a noise with this range."""
    layers = []
    for name, alpha in zip(NAMES[start:], alphas, strict=False):
        one = layer(name, None if alpha is None else alpha_change(alpha, alpha))
        drawn = None if noise is None else span(*noise)
        layers.append(with_noise(one, alpha_total=drawn, alpha_spectrum=drawn))
    return layers


def span(low: float, high: float) -> NoiseRange:
    """Noise that is spread evenly over a range, with a share of five percent at either end."""
    drawn = np.linspace(low, high, 181) if math.isfinite(high - low) else np.full(181, high - low)
    kept = np.concatenate([[drawn[0]] * 10, drawn[1:-1], [drawn[-1]] * 10])
    ranks = kept_ranks(len(kept))
    return NoiseRange(
        low=low,
        high=high,
        detectable=None,
        p_value=0.5,
        adjusted_p_value=0.5,
        draws=len(kept),
        kept=tuple(float(kept[rank - 1]) for rank in ranks),
    )


def with_noise(change: LayerChange, **ranges: NoiseRange | None) -> LayerChange:
    return change.model_copy(update={"noise": change.noise.model_copy(update=ranges)})


def replicate(tuned, sham=(), rounding=None, key="tuned", seed=0, names=NAMES, **updates) -> Replicate:
    """A trained model beside its base, whose layers all have alpha 3, and its sham; without a sham if that is None."""
    base = record("base", *(layer(name, None) for name in names), seed=seed)
    if rounding is not None:
        rounded = tuple(
            RoundingControl(name=name, relative_norm=1e-3, alpha_change=None if one is None else alpha_change(one, one))
            for name, one in zip(names, rounding, strict=False)
        )
        base = base.model_copy(update={"rounding": rounded})
    trained = record("stance", *tuned, stance="a", key=key, seed=seed).model_copy(update=updates)
    return beside(trained, base, None if sham is None else record("sham", *sham, key=f"sham of {key}", seed=seed))


def vectors(*norms: float | None) -> tuple[VectorChange, ...]:
    names = (f"model.layers.{index}.norm.weight" for index in range(len(norms)))
    return tuple(vector(name, norm) for name, norm in zip(names, norms, strict=True))


def concentrated(low: float, high: float, layers: int, figure: str = "alpha_total") -> tuple[Concentration, ...]:
    """How concentrated noise's changes are."""
    return (
        Concentration(
            figure=figure, layers=layers, participation_ratio=2.0, gini=0.5, noise_participation_ratio=(low, high)
        ),
    )
