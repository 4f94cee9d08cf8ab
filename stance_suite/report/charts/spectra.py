"""Spectra, from `data.spectrum_data`: a layer's eigenvalues before and after, and which tail was fitted."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stance_suite.report.charts.theme import Spec, Theme, Width, finish, looks

if TYPE_CHECKING:
    import altair as alt

SIDES = ("before", "after")
SHOWN_SHARE = 0.75
"""The smallest eigenvalues reach no tail, and would squeeze the picture."""
POINTS_A_FACTOR = 12
"""Points kept of those whose tails' sizes lie within a factor of e: where they are dense, more say nothing."""
SHOWN_ABOVE_MINIMUM = 1.6
"""Tails that fit worse than the best by this factor would squeeze the two minima."""


@cache
def esd(theme: Theme, width: Width) -> Spec:
    """Draw the empirical spectral density before and after, both axes logarithmic, with the fitted tails."""
    import altair as alt

    x = _eigenvalues("eigenvalue (squared singular value)")
    axis = alt.Axis(values=[10**-k for k in range(6)], format="~g")
    y = alt.Y("share:Q", scale=alt.Scale(type="log"), title="share at or above", axis=axis)
    points = (
        alt.Chart(alt.NamedData("spectrum"))
        .transform_calculate(share="datum.size / datum.count")
        .transform_filter(f"datum.eigenvalue > 0 && datum.share <= {SHOWN_SHARE}")
        .transform_calculate(bin=f"floor({POINTS_A_FACTOR} * log(datum.size))")
        .transform_joinaggregate(kept="max(size)", groupby=["when", "bin"])
        .transform_filter("datum.size === datum.kept")
        .mark_point(size=_per_side(40, 10), strokeWidth=1, opacity=1, aria=False)
        .encode(
            x=x,
            y=y,
            stroke=alt.Stroke("when:N", scale=looks(SIDES, theme.before, theme.after)),
            fill=alt.Fill("when:N", scale=looks(SIDES, "transparent", theme.after)),
            shape=alt.Shape("when:N", scale=looks(SIDES, "circle", "diamond")),
        )
    )
    fits = (
        alt.Chart(alt.NamedData("fits"))
        .transform_filter("datum.kind === 'fit'")
        .transform_calculate(
            share="datum.tail_size / datum.count",
            # where the law expects half an eigenvalue; beyond, an outlier would squeeze all other points
            last="min(datum.largest, datum.xmin * pow(2 * datum.tail_size, 1 / (datum.alpha - 1)))",
            last_share="datum.share * pow(datum.last / datum.xmin, 1 - datum.alpha)",
        )
        .encode(x="xmin:Q", y="share:Q", stroke=alt.Stroke("when:N"))
    )
    lines = fits.mark_rule(strokeWidth=_per_side(4, 1.5), aria=False).encode(x2="last:Q", y2="last_share:Q")
    ticks = fits.mark_point(shape="stroke", angle=90, size=500, strokeWidth=2, opacity=1, aria=False)
    return finish(
        alt.layer(points, lines, ticks),
        theme,
        "Share of eigenvalues at or above each eigenvalue before and after training, both axes logarithmic, with the "
        "fitted power-law tails as straight lines; a tick marks where each tail begins.",
        width=width,
        height=260,
    )


@cache
def tail_choice(theme: Theme, width: Width) -> Spec:
    """Draw how well each tail fits, before and after: a tail flips where two minima are nearly as low."""
    import altair as alt

    x = _eigenvalues("xmin: the tail begins at this eigenvalue")
    y = alt.Y("ks:Q", scale=alt.Scale(zero=False), title="KS distance of the fit", axis=alt.Axis(tickCount=5))
    color = alt.Color("when:N", scale=looks(SIDES, theme.before, theme.after), legend=None)
    curves = (
        alt.Chart(alt.NamedData("spectrum"))
        .transform_filter("isValid(datum.ks) && datum.eigenvalue > 0")
        .transform_joinaggregate(best="min(ks)", groupby=["when"])
        .transform_filter(f"datum.ks < {SHOWN_ABOVE_MINIMUM} * datum.best")
        .mark_line(strokeWidth=_per_side(5, 1.5), opacity=_per_side(0.4, 1), strokeJoin="round", aria=False)
        .encode(x=x, y=y, color=color)
    )
    labels = [f"{when}: {kind}" for when in SIDES for kind in ("fit", "runner-up")]
    before, after = theme.before, theme.after
    chosen = (
        alt.Chart(alt.NamedData("fits"))
        .transform_calculate(label="datum.when + ': ' + datum.kind")
        .mark_point(size=_per_side(180, 90), strokeWidth=2, opacity=1, aria=False)
        .encode(
            x="xmin:Q",
            y="ks_distance:Q",
            stroke=alt.Stroke(
                "label:N", scale=looks(labels, before, before, after, after), legend=alt.Legend(columns=2)
            ),
            fill=alt.Fill("label:N", scale=looks(labels, before, "transparent", after, "transparent")),
            shape=alt.Shape("label:N", scale=looks(labels, "circle", "circle", "diamond", "diamond")),
            tooltip=["when:N", "kind:N", "alpha:Q", "tail_size:Q", "xmin:Q", "ks_distance:Q"],
        )
    )
    return finish(
        alt.layer(curves, chosen),
        theme,
        "Kolmogorov-Smirnov distance between tail and fit over the eigenvalue at which the tail begins, before and "
        "after training, near the minima. Filled points are the chosen tails, open ones the runners-up.",
        width=width,
        height=220,
    )


def _eigenvalues(title: str) -> alt.X:
    import altair as alt

    scale = alt.Scale(type="log", nice=False, padding=8)
    return alt.X("eigenvalue:Q", scale=scale, title=title, axis=alt.Axis(tickCount=5, format="~g"))


def _per_side(before: float, after: float) -> alt.ExprRef:
    """Keep both visible where they coincide: a broad mark before, a narrow one after, on top."""
    import altair as alt

    return alt.ExprRef(f"datum.when === 'before' ? {before} : {after}")
