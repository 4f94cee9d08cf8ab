"""One layer's spectra for the page: curves, fits, the change beside noise, and in words why a tail flipped."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from stance_suite.reports.charts.data import rounded
from stance_suite.reports.text import show_signed
from stance_suite.spectrum_records import (
    CURVE_DIGITS,
    AlphaChange,
    LayerChange,
    LayerSpectrum,
    NoiseControl,
    NoiseRange,
    PowerLaw,
    SpectrumCurve,
)

DIGITS = 4
"""Significant digits of the page's figures, KS distances aside."""
ALMOST_EQUAL = 0.05
"""Two tails fit almost equally well if their KS distances differ by no more than this share of the smaller one."""
SAME_TAIL = 0.1
"""A point of a curve stands for a tail whose size differs by no more than this share."""


def shorten(figure: float | None) -> float | None:
    """Round a figure to the digits that a page shows."""
    return rounded(figure, DIGITS)


def _shorten_distance(distance: float | None) -> float | None:
    """Keep as many digits of a KS distance as a curve has: those that decide between two tails are among the last."""
    return rounded(distance, CURVE_DIGITS)


def layer_spectrum(layer: LayerSpectrum | None) -> dict[str, Any] | None:
    """Lay out one spectrum."""
    if layer is None:
        return None
    curve = layer.curve or _whole_curve(layer)
    interval = None if layer.interval is None else [shorten(layer.interval.low), shorten(layer.interval.high)]
    laid_out = {
        "failure": layer.failure,
        "fit": _fit(layer.fit),
        "runner_up": _fit(layer.runner_up),
        "interval": interval,
        "curve": None if curve is None else _curve(curve),
    }
    return {name: value for name, value in laid_out.items() if value is not None}


def layer_change(
    change: LayerChange | None, before: LayerSpectrum | None, after: LayerSpectrum | None
) -> dict[str, Any] | None:
    """Lay out what a training did to one matrix, as far as a heat map does not show it."""
    if change is None:
        return None
    weights = change.weight_change
    laid_out = {
        "failure": change.failure,
        "energy": None if weights is None else shorten(100 * weights.top_ten_energy),
        "noise": None if change.noise is None else _noise(change.noise),
        "words": explain_tail(change.alpha_change, before, after),
    }
    return {name: value for name, value in laid_out.items() if value is not None}


def explain_tail(change: AlphaChange | None, before: LayerSpectrum | None, after: LayerSpectrum | None) -> str | None:
    """Say in words why the fitted tail is another one after training."""
    if change is None or change.tail_before == change.tail_after:
        return None
    moved = (
        f"The spectrum itself moved alpha by {show_signed(change.spectrum)} %, "
        f"the choice of the tail by {show_signed(change.tail_choice)} %."
    )
    sizes = change.tail_before, change.tail_after
    # no point of a curve may stand for both tails
    tolerance = min(SAME_TAIL * min(sizes), abs(sizes[0] - sizes[1]) / 4)
    first, second = (_distance(before, size, tolerance) for size in sizes)
    old, new = (_distance(after, size, tolerance) for size in sizes)
    if first is None or second is None or old is None or new is None:
        return f"The fitted tail went from {sizes[0]} to {sizes[1]} eigenvalues. {moved}"
    nearness = " almost equally well" if second - first <= ALMOST_EQUAL * first else ""
    return (
        f"Before training two tails fit{nearness}: KS distance {first:g} on {sizes[0]} eigenvalues, "
        f"{_in_full(second - first)} more on {sizes[1]}. After training it is {_in_full(old - new)} less on "
        f"{sizes[1]} than on {sizes[0]}. {moved}"
    )


def _in_full(difference: float) -> str:
    """Write a difference of KS distances without an exponent, however small: a distance stands beside it."""
    return format(Decimal(f"{difference:.2g}"), "f")


def _distance(layer: LayerSpectrum | None, size: int, tolerance: float) -> float | None:
    """KS distance of a tail, to the digits that are shown: as fitted, or at the curve's nearest point."""
    if layer is None:
        return None
    for fit in (layer.fit, layer.runner_up):
        if fit is not None and fit.tail_size == size:
            return _shorten_distance(fit.ks_distance)
    curve = layer.curve or _whole_curve(layer)
    points = () if curve is None else zip(curve.sizes, curve.ks_distances, strict=True)
    near = [(abs(at - size), distance) for at, distance in points if distance is not None]
    gap, distance = min(near, default=(math.inf, math.nan))
    return _shorten_distance(distance) if gap <= tolerance else None


def _fit(fit: PowerLaw | None) -> dict[str, Any] | None:
    if fit is None:
        return None
    return {
        "alpha": shorten(fit.alpha),
        "xmin": shorten(fit.xmin),
        "ks_distance": _shorten_distance(fit.ks_distance),
        "tail_size": fit.tail_size,
    }


def _curve(curve: SpectrumCurve) -> dict[str, Any]:
    return {
        "sizes": curve.sizes,
        "eigenvalues": list(map(shorten, curve.eigenvalues)),
        "ks_distances": list(map(_shorten_distance, curve.ks_distances)),
    }


def _whole_curve(layer: LayerSpectrum) -> SpectrumCurve | None:
    """Files of schema version 4 have no curve, but all eigenvalues of featured layers."""
    if not layer.eigenvalues or layer.ks_distances is None:
        return None
    count = len(layer.ks_distances) + 1  # no tail begins at the largest eigenvalue
    return SpectrumCurve(
        sizes=tuple(range(count, 0, -1)),
        eigenvalues=layer.eigenvalues[-count:],
        ks_distances=(*layer.ks_distances, None),
    )


def _noise(noise: NoiseControl) -> dict[str, Any]:
    ranges = {
        "total": noise.alpha_total,
        "spectrum": noise.alpha_spectrum,
        "stable_rank": noise.stable_rank,
        "energy": noise.top_ten_energy,
    }
    return {"draws": noise.draws} | {
        name: _range(one, 100 if name == "energy" else 1) for name, one in ranges.items() if one is not None
    }


def _range(one: NoiseRange, factor: float) -> dict[str, float | None]:
    return {
        "low": shorten(factor * one.low),
        "high": shorten(factor * one.high),
        "p_value": shorten(one.adjusted_p_value),
    }
