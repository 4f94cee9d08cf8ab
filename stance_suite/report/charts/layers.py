"""Layers, from `data.layer_data`: every weight matrix of every training, in files; a page has a table for that."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stance_suite.report.charts.theme import Spec, Theme, bare_axis, finish

if TYPE_CHECKING:
    import altair as alt

LARGEST_SHOWN_PERCENT = 30
"""Changes of alpha beyond that have the strongest color."""
COLUMN, ROW = 13, 6
"""Width and height of a matrix, in pixels."""
OUTSIDE = -1
"""Where matrices stand that lie in no block, such as embeddings: above the first."""
KINDS = {"alpha_total": "as fitted", "alpha_spectrum": "tail held fixed", "relative_norm": "dW norm"}


@cache
def layers(theme: Theme) -> Spec:
    """Draw the change of alpha of every matrix, as fitted and with the tail held fixed, and the size of its change."""
    import altair as alt

    fitted, fixed, norm = KINDS.values()
    axis = bare_axis(labelAngle=-90, grid=False, labelPadding=4)
    numbers = f"datum.value === {OUTSIDE} ? '–' : datum.value % 5 ? '' : datum.label"
    depth = bare_axis(labelExpr=numbers, grid=False)
    places = alt.Chart().encode(
        x=alt.X("role:N", sort=None, title=None, axis=axis), y=alt.Y("depth:O", title="block", axis=depth)
    )
    limit = LARGEST_SHOWN_PERCENT
    colors = [theme.negative, theme.neutral, theme.positive]
    change = alt.Scale(type="symlog", constant=0.1, domain=[-limit, 0, limit], range=colors, clamp=True)
    size = alt.Scale(domainMin=0, range=[theme.neutral, theme.text])
    marks = alt.layer(
        places.transform_filter(f"datum.kind !== '{norm}'")
        .mark_rect(aria=False)
        .encode(color=alt.Color("figure:Q", scale=change, legend=_legend("change of alpha (%)"))),
        places.transform_filter(f"datum.kind === '{norm}'")
        .mark_rect(aria=False)
        .encode(fill=alt.Fill("figure:Q", scale=size, legend=_legend("norm of dW over that of W (%)"))),
        places.transform_filter(f"datum.kind === '{fitted}' && datum.tail_flip").mark_point(
            size=7, filled=True, opacity=1, color=theme.text, aria=False
        ),
    ).properties(width=alt.Step(COLUMN), height=alt.Step(ROW))
    bold = alt.Header(labelFontWeight="bold", labelFontSize=12, labelOrient="left", labelAngle=-90)
    lines = alt.Header(labelExpr="split(datum.label, '|')", labelFontSize=11)
    named = f"datum.folded === 'alpha_total' ? '{fitted}' : datum.folded === 'alpha_spectrum' ? '{fixed}' : '{norm}'"
    chart = (
        marks.facet(
            row=alt.Row("kind:N", sort=[fitted, fixed, norm], title=None, header=bold),
            column=alt.Column("cell:N", sort=alt.EncodingSortField("place", "min"), title=None, header=lines),
            spacing=8,
            data=alt.NamedData("layers"),
        )
        .transform_fold(list(KINDS), as_=["folded", "figure"])
        .transform_calculate(kind=named, depth=f"isValid(datum.block) ? datum.block : {OUTSIDE}")
        .transform_filter("isValid(datum.figure)")
    )
    return finish(
        chart,
        theme,
        "Change of alpha of every weight matrix in every training and in the sham, as fitted and with the tail held "
        "fixed, and the norm of its change; a dot marks a tail flip.",
    )


def _legend(title: str) -> alt.Legend:
    import altair as alt

    return alt.Legend(title=title, orient="bottom", gradientLength=260, titleLimit=260)
