"""Trainings from epoch to epoch, from `data.epoch_data`: what the model prefers, and below how far alpha moved."""

from __future__ import annotations

from functools import cache
from typing import Any

from stance_suite.report.charts.theme import Spec, Theme, Width, finish, looks

HEIGHT = 150
"""Of each drawing area, in pixels."""
NUMBERS = 44
"""Room for the numbers of an axis, in pixels: alike in both pictures, so that epochs stand below each other."""
KINDS = {"alpha_total": "as fitted", "alpha_spectrum": "tail held fixed"}


@cache
def preference(theme: Theme, width: Width) -> Spec:
    """Draw the likelihood preference over epochs, a line a training."""
    import altair as alt

    points = {
        "shape": alt.Shape("training:N", sort=None, legend=alt.Legend(columns=2)),
        "tooltip": ["training:N", "epoch:O", "preference:Q", "loss:Q"],
    }
    return finish(
        _trainings(theme, ("preference:Q", "tuned − base (nats/token)"), {}, points, fill=theme.after),
        theme,
        "Likelihood preference for the trained stance, tuned minus base, after each epoch.",
        width=width,
        height=HEIGHT,
    )


@cache
def alphas(theme: Theme, width: Width) -> Spec:
    """Draw the largest change of any matrix's alpha over epochs, as fitted and with the tail held fixed."""
    import altair as alt

    fitted, fixed = KINDS.values()
    line = {"strokeDash": alt.StrokeDash("kind:N", scale=looks(KINDS.values(), [5, 3], [1, 0]))}
    points = {
        "fill": alt.Fill("kind:N", scale=looks(KINDS.values(), "transparent", theme.after)),
        "shape": alt.Shape("training:N", sort=None, legend=None),
        "tooltip": ["training:N", "kind:N", "epoch:O", "change:Q"],
    }
    return finish(
        _trainings(theme, ("change:Q", "largest change of alpha (%)"), line, points)
        .transform_fold(list(KINDS), as_=["folded", "change"])
        .transform_calculate(kind=f"datum.folded === 'alpha_total' ? '{fitted}' : '{fixed}'"),
        theme,
        "Largest change of any matrix's alpha after each epoch, as fitted and with the tail held fixed.",
        width=width,
        height=HEIGHT,
    )


def _trainings(theme: Theme, figure: tuple[str, str], line: dict[str, Any], points: dict[str, Any], **mark: Any) -> Any:
    """Join the epochs of each training: lines and points, and what tells them apart."""
    import altair as alt

    x = alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d", grid=False), scale=alt.Scale(nice=False, padding=10))
    y = alt.Y(figure[0], title=figure[1], axis=alt.Axis(tickCount=5, minExtent=NUMBERS))
    rows = alt.Chart().encode(x=x, y=y)
    return alt.layer(
        rows.mark_line(color=theme.after, strokeWidth=2, aria=False).encode(detail="training:N", **line),
        rows.mark_point(color=theme.after, size=60, opacity=1, aria=False, **mark).encode(**points),
        data=alt.NamedData("epochs"),
    )
