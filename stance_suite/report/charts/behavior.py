"""Behavior, from `data.prompt_data`: each held-out prompt before and after, and below it the mean effects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import cycle, islice
from typing import TYPE_CHECKING

from stance_suite.report.charts.theme import Spec, Theme, Width, bare_axis, finish, looks, mark_interval
from stance_suite.schema.controls import Control
from stance_suite.schema.metrics import Metric

if TYPE_CHECKING:
    import altair as alt

LABELS = 220
"""Room for prompts, in pixels; longer ones end with an ellipsis."""
SHARE_OF_LABELS = 0.4
"""Of a page's width they take no more than this."""
PADDING = 8
"""Between a name and its row."""
ROW = 18
"""Height of a prompt's row, in pixels."""
TICKS = ("M0,-1V1", "M-0.7,0.7L0.7,-0.7")
"""Marks of the controls, in turn."""


def prompts(theme: Theme, width: Width, metric: Metric) -> Spec:
    """Draw each held-out prompt's score before and after, the largest effect first.

    Hollow is the untouched model (of a divergence noise of the same norm), filled the tuned one; a tick is every
    control that was trained.
    """
    return _prompts(theme, width, metric, tuple(Control.trained()))


@cache
def _prompts(theme: Theme, width: Width, metric: Metric, controls: Sequence[Control]) -> Spec:
    import altair as alt

    names = ("base", *map(str, controls), "tuned")
    # a model trained elsewhere has no controls, and some say nothing of a measure
    known = (f"(isValid(extent(pluck(data('prompts'), '{name}'))[0]) ? '{name}|' : '')" for name in names[1:-1])
    shown = alt.ExprRef(f"split('{names[0]}|' + {' + '.join(known)} + 'tuned', '|')")

    def scale(base: str, tuned: str, *of_controls: str) -> alt.Scale:
        return looks(names, base, *islice(cycle(of_controls), len(controls)), tuned)

    legend = alt.Legend(labelExpr=f"datum.label === '{names[0]}' ? '{_baseline(metric)}' : datum.label", values=shown)
    score = alt.X("score:Q", title=f"score ({metric.unit})", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))
    effect = alt.EncodingSortField(field="effect", op="max", order="descending")
    rows = alt.Chart().encode(y=alt.Y("prompt:N", sort=effect, title=None, axis=_names(theme, width)))
    chart = alt.layer(
        rows.mark_rule(color=theme.control, aria=False).encode(x="base:Q", x2="tuned:Q"),
        rows.mark_point(size=70, strokeWidth=2, opacity=1, aria=False).encode(
            x=score,
            stroke=alt.Stroke("model:N", scale=scale(theme.before, theme.after, theme.control), legend=legend),
            fill=alt.Fill("model:N", scale=scale("transparent", theme.after, "transparent"), legend=legend),
            shape=alt.Shape("model:N", scale=scale("circle", "circle", *TICKS), legend=legend),
            tooltip=["prompt:N", *(f"{name}:Q" for name in names)],
        ),
        data=alt.NamedData("prompts"),
    )
    return finish(
        chart.transform_calculate(effect="datum.tuned - datum.base")
        .transform_fold(list(names), as_=["model", "score"])
        .transform_filter("isValid(datum.score)"),
        theme,
        f"Score of each held-out prompt ({metric.meaning}) for {_baseline(metric)}, "
        f"{', '.join(f'the {one}' for one in controls)} and the tuned model, the largest effect first.",
        width=width,
        height=alt.Step(ROW),
    )


@cache
def effects(theme: Theme, width: Width, metric: Metric) -> Spec:
    """Draw the mean effect against each control, with the claim's bound and the noise floor."""
    import altair as alt

    versus = alt.Y("contrast:N", sort=None, title=None, axis=_names(theme, width))
    measured = (
        alt.Chart(alt.NamedData("effects"))
        .transform_calculate(contrast="'against ' + datum.versus")
        .encode(y=versus, tooltip=["contrast:N", "effect:Q", "low:Q", "high:Q"])
    )
    bound, floor = alt.Chart(alt.NamedData("bounds")), alt.Chart(alt.NamedData("floor"))
    chart = alt.layer(
        floor.mark_rect(color=theme.noise, aria=False).encode(x="low:Q", x2="high:Q"),
        alt.Chart(alt.NamedData("effects")).mark_rule(color=theme.soft, aria=False).encode(x=alt.datum(0)),
        bound.mark_rule(color=theme.text, strokeDash=[4, 3], aria=False).encode(x="bound:Q"),
        bound.transform_calculate(label="'bound ' + format(datum.bound, '~g')")
        .mark_text(color=theme.soft, dy=-6, baseline="bottom", fontSize=11, aria=False)
        .encode(x="bound:Q", y=alt.value(0), text="label:N"),
        mark_interval(measured, theme),
        measured.mark_point(size=70, filled=True, opacity=1, color=theme.after, aria=False).encode(
            x=alt.X("effect:Q", title=f"mean effect ({metric.unit})", axis=alt.Axis(tickCount=6))
        ),
    )
    return finish(
        chart,
        theme,
        "Mean effect against each control with its 95 % interval; the dashed line is the claim's bound, the band what "
        "drawing again does.",
        width=width,
        height=alt.Step(ROW),
    )


def _baseline(metric: Metric) -> str:
    return "noise of the same norm" if metric is Metric.DIVERGENCE else "base"


def _names(theme: Theme, width: Width) -> alt.Axis:
    """Both pictures leave the same room for names, so that their drawing areas stand below each other."""
    import altair as alt

    limit = f"min({LABELS}, {SHARE_OF_LABELS} * containerSize()[0])" if width == "container" else f"{LABELS}"
    room = alt.ExprRef(f"{limit} + {PADDING}")
    return bare_axis(
        labelLimit=alt.ExprRef(limit), labelPadding=PADDING, minExtent=room, maxExtent=room, labelColor=theme.text
    )
