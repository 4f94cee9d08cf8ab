"""Verdicts, from `data.verdict_data`: every judged figure beside its controls and what was claimed; in files."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from stance_suite.report.charts.theme import Spec, Theme, bare_axis, finish, mark_interval

if TYPE_CHECKING:
    import altair as alt

ROW = 22
"""Height of a claim's row, in pixels."""
LABELS = 260
"""Room for the names of claims, in pixels."""


@cache
def verdicts(theme: Theme, width: int, measures: tuple[str, ...]) -> Spec:
    """Draw figures of verdicts, those of one measure on one scale."""
    import altair as alt

    return finish(
        alt.vconcat(*(_of_measure(theme, width, measure) for measure in measures), spacing=24),
        theme,
        "Figure of every judged claim with its 95 % interval; a gray band spans what the controls did, a tick marks "
        "the bound, and the verdict stands at the end of the row.",
    )


def _of_measure(theme: Theme, width: int, measure: str) -> alt.LayerChart | alt.FacetChart:
    import altair as alt

    names = bare_axis(labelLimit=LABELS, labelPadding=8, minExtent=LABELS, maxExtent=LABELS, labelColor=theme.text)
    claim = alt.Y("claim:N", sort=None, title=None, axis=names)

    def rows(data: str) -> alt.Chart:
        of_measure = f"datum.measure === {json.dumps(measure)}"
        return alt.Chart(alt.NamedData(data)).transform_filter(of_measure).encode(y=claim)

    judged = rows("verdicts")
    return alt.layer(
        judged.mark_bar(height=14, color=theme.noise, stroke=theme.noise, strokeWidth=2, aria=False).encode(
            x="control_low:Q", x2="control_high:Q"
        ),
        judged.mark_rule(color=theme.soft, aria=False).encode(x=alt.datum(0), y=alt.Y()),
        mark_interval(judged, theme),
        rows("bounds").mark_tick(thickness=2, size=16, opacity=1, color=theme.text, aria=False).encode(x="bound:Q"),
        judged.mark_point(size=60, filled=True, opacity=1, color=theme.after, aria=False).encode(
            x=alt.X("figure:Q", title=measure, axis=alt.Axis(tickCount=6))
        ),
        judged.mark_text(align="left", fontSize=12, color=theme.text, aria=False).encode(
            x=alt.value(width + 10), text="status:N"
        ),
    ).properties(width=width, height=alt.Step(ROW))
