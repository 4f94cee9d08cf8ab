"""One layer's spectra for the page: curves, fits, the change beside noise, and in words why a tail flipped."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from stance_suite.report.charts.data import Point, spectrum_points
from stance_suite.report.format import rounded, show_signed
from stance_suite.schema.spectra import CURVE_DIGITS, AlphaChange, LayerChange, LayerSpectrum, NoiseControl, NoiseRange

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
    """Lay out one spectrum as far as it is known.

    ``fit`` and ``runner_up`` have the fields of `PowerLaw`, ``interval`` is low and high, ``failure`` a sentence, and
    ``curve`` has ``sizes``, ``eigenvalues`` and ``ks_distances``.
    """
    if layer is None:
        return None
    fits = {
        name: {
            "alpha": shorten(fit.alpha),
            "xmin": shorten(fit.xmin),
            "ks_distance": _shorten_distance(fit.ks_distance),
            "tail_size": fit.tail_size,
        }
        for name, fit in (("fit", layer.fit), ("runner_up", layer.runner_up))
        if fit is not None
    }
    return fits | _without_none(
        failure=layer.failure,
        interval=None if layer.interval is None else [shorten(layer.interval.low), shorten(layer.interval.high)],
        curve=_curve(layer),
    )


def layer_change(
    change: LayerChange | None, before: LayerSpectrum | None, after: LayerSpectrum | None
) -> dict[str, Any] | None:
    """Lay out what a training did to one matrix, as far as it is known and a heat map does not show it.

    ``energy`` is that of dW's ten leading singular values in percent, ``words`` say why the tail is another one, and
    ``noise`` has ``draws``, and ``low``, ``high`` and adjusted ``p_value`` of each figure.
    """
    if change is None:
        return None
    weights = change.weight_change
    return _without_none(
        failure=change.failure,
        energy=None if weights is None else shorten(100 * weights.top_ten_energy),
        noise=change.noise and _noise(change.noise),
        words=explain_tail(change.alpha_change, before, after),
    )


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def explain_tail(change: AlphaChange | None, before: LayerSpectrum | None, after: LayerSpectrum | None) -> str | None:
    """Say in words why the fitted tail is another one after training; None where it has kept its size."""
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
    near = [(abs(at - size), distance) for at, _, distance in _points(layer) if distance is not None]
    gap, distance = min(near, default=(math.inf, math.nan))
    return _shorten_distance(distance) if gap <= tolerance else None


def _points(layer: LayerSpectrum) -> list[Point]:
    """Points of the curve; files of schema version 4 have none, but all eigenvalues of featured layers."""
    return [] if layer.curve is None and layer.ks_distances is None else spectrum_points(layer, prefer_curve=True)


def _curve(layer: LayerSpectrum) -> dict[str, Any] | None:
    if not (points := _points(layer)):
        return None
    sizes, eigenvalues, distances = zip(*points, strict=True)
    return {
        "sizes": sizes,
        "eigenvalues": list(map(shorten, eigenvalues)),
        "ks_distances": list(map(_shorten_distance, distances)),
    }


def _noise(noise: NoiseControl) -> dict[str, Any]:
    return _without_none(
        draws=noise.draws,
        total=noise.alpha_total and _range(noise.alpha_total),
        spectrum=noise.alpha_spectrum and _range(noise.alpha_spectrum),
        stable_rank=_range(noise.stable_rank),
        energy=_range(noise.top_ten_energy, 100),
    )


def _range(one: NoiseRange, factor: float = 1) -> dict[str, float | None]:
    low, high = factor * one.low, factor * one.high
    return {"low": shorten(low), "high": shorten(high), "p_value": shorten(one.adjusted_p_value)}
