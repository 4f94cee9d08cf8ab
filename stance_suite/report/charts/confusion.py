"""Confusion, from `data.confusion_data`: every training against every stance, in files; a page has a table for that."""

from __future__ import annotations

from functools import cache

from stance_suite.report.charts.theme import Spec, Theme, bare_axis, finish, looks
from stance_suite.schema.metrics import Metric

COLUMN, ROW = 130, 44
"""Width and height of an entry, in pixels."""
FAINTNESS = 0.5
"""Of the strongest colors: the numbers on them stay readable."""


@cache
def confusion(theme: Theme, metric: Metric) -> Spec:
    """Draw the shift of each training toward each stance."""
    import altair as alt

    axis = bare_axis(labelColor=theme.text, grid=False, labelAngle=0, labelLimit=COLUMN - 4)
    entries = alt.Chart().encode(
        x=alt.X("measured:N", sort=None, title="shift toward", axis=axis),
        y=alt.Y("trained:N", sort=None, title="trained on", axis=axis.copy()),
    )
    shade = looks((-1, 0, 1), theme.negative, theme.neutral, theme.positive)
    own = alt.ExprRef("datum.trained === datum.measured ? 'bold' : 'normal'")
    chart = alt.layer(
        entries.mark_rect(aria=False).encode(
            color=alt.Color("relative:Q", scale=shade, legend=None), opacity=alt.value(FAINTNESS)
        ),
        entries.mark_text(dy=-7, fontSize=14, fontWeight=own, color=theme.text, aria=False).encode(text="shown:N"),
        entries.mark_text(dy=10, fontSize=11, color=theme.text, aria=False).encode(text="interval:N"),
        data=alt.NamedData("shifts"),
    )
    return finish(
        chart.transform_calculate(size="abs(datum.effect)")
        .transform_joinaggregate(largest="max(size)")
        .transform_calculate(
            relative="datum.largest > 0 ? datum.effect / datum.largest : 0",
            shown="format(datum.effect, '+.3f')",
            interval="isValid(datum.low) && isValid(datum.high) ? "
            "'[' + format(datum.low, '+.2f') + ', ' + format(datum.high, '+.2f') + ']' : ''",
        ),
        theme,
        f"Shift toward each stance ({metric.meaning}, in {metric.unit}) after each training, with 95 % intervals.",
        width=alt.Step(COLUMN),
        height=alt.Step(ROW),
    )
