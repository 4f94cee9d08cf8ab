"""Trainings from epoch to epoch: what the model prefers, and how far alpha moved.

Dataset: ``epochs``, see `stance_suite.reports.charts.data.epoch_data`. The two pictures belong together, `preference`
above `alphas`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from stance_suite.reports.charts.theme import Spec, Theme, Width, finish

if TYPE_CHECKING:
    import altair as alt

HEIGHT = 150
"""Of each drawing area, in pixels."""
NUMBERS = 44
"""Room for the numbers of an axis, in pixels: alike in both pictures, so that epochs stand below each other."""
KINDS = {"alpha_total": "as fitted", "alpha_spectrum": "tail held fixed"}


@cache
def preference(theme: Theme, width: Width) -> Spec:
    """Draw the likelihood preference over epochs."""
    import altair as alt

    y = alt.Y("preference:Q", title="tuned − base (nats/token)", axis=_numbers())
    training = alt.Shape("training:N", sort=None, legend=alt.Legend(columns=2))
    chart = alt.layer(
        _lines().mark_line(color=theme.after, strokeWidth=2, aria=False).encode(y=y, detail="training:N"),
        _lines()
        .mark_point(color=theme.after, fill=theme.after, size=60, opacity=1, aria=False)
        .encode(y=y, shape=training, tooltip=["training:N", "epoch:O", "preference:Q", "loss:Q"]),
        data=alt.NamedData("epochs"),
    )
    return finish(
        chart.properties(width=width, height=HEIGHT),
        theme,
        "Likelihood preference for the trained stance, tuned minus base, after each epoch.",
    )


@cache
def alphas(theme: Theme, width: Width) -> Spec:
    """Draw the largest change of any matrix's alpha over epochs, as fitted and with the tail held fixed."""
    import altair as alt

    y = alt.Y("change:Q", title="largest change of alpha (%)", axis=_numbers())

    def by_kind(*values: Any) -> alt.Scale:
        return alt.Scale(domain=list(KINDS.values()), range=list(values))

    dash = alt.StrokeDash("kind:N", scale=by_kind([5, 3], [1, 0]))
    fill = alt.Fill("kind:N", scale=by_kind("transparent", theme.after))
    chart = alt.layer(
        _lines()
        .mark_line(color=theme.after, strokeWidth=2, aria=False)
        .encode(y=y, strokeDash=dash, detail="training:N"),
        _lines()
        .mark_point(color=theme.after, size=60, opacity=1, aria=False)
        .encode(
            y=y,
            fill=fill,
            shape=alt.Shape("training:N", sort=None, legend=None),
            tooltip=["training:N", "kind:N", "epoch:O", "change:Q"],
        ),
        data=alt.NamedData("epochs"),
    )
    kind = f"datum.folded === 'alpha_total' ? '{KINDS['alpha_total']}' : '{KINDS['alpha_spectrum']}'"
    return finish(
        chart.transform_fold(list(KINDS), as_=["folded", "change"])
        .transform_calculate(kind=kind)
        .properties(width=width, height=HEIGHT),
        theme,
        "Largest change of any matrix's alpha after each epoch, as fitted and with the tail held fixed.",
    )


def _lines() -> alt.Chart:
    import altair as alt

    x = alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d", grid=False), scale=alt.Scale(nice=False, padding=10))
    return alt.Chart().encode(x=x)


def _numbers() -> alt.Axis:
    import altair as alt

    return alt.Axis(tickCount=5, minExtent=NUMBERS)
