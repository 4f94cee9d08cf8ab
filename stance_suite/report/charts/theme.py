"""How pictures look: colors and fonts, for the page and for files, and what every picture has in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import altair as alt

Spec = dict[str, Any]
"""A Vega-Lite specification."""

Width = int | Literal["container"]
"""Width of the drawing area in pixels; on a page that of the element that holds the picture."""

LINE_OF_TITLE = 64
"""Characters of a title after which it goes on in another line."""


@dataclass(frozen=True)
class Theme:
    """Colors and font of a picture; every color is a CSS color, or a CSS variable."""

    before: str
    """The untouched model."""
    after: str
    """The model after training."""
    control: str
    """What was trained without the stance."""
    noise: str
    """Bands of what chance or controls do."""
    text: str
    """Labels, and marks that stand for no model."""
    soft: str
    """Labels of axes, bounds and zero."""
    line: str
    """Grid."""
    background: str
    """Behind everything."""
    negative: str
    """The low end of a scale through zero."""
    neutral: str
    """Its middle."""
    positive: str
    """Its high end."""
    font: str
    """Font family."""


PAGE = Theme(
    before="var(--before)",
    after="var(--after)",
    control="var(--control)",
    noise="var(--noise)",
    text="var(--text)",
    soft="var(--soft)",
    line="var(--line)",
    background="transparent",
    negative="var(--cold)",
    neutral="var(--page)",
    positive="var(--warm)",
    font="system-ui, sans-serif",
)
"""On a page, which sets the variables for light, dark and print; needs Vega's SVG renderer."""

PRINT = Theme(
    before="#35649a",
    after="#c2591a",
    control="#757575",
    noise="#d6dae0",
    text="#1c1f24",
    soft="#5a616b",
    line="#e3e6ea",
    background="#ffffff",
    negative="#2c5c94",
    neutral="#f4f4f4",
    positive="#b8500f",
    font="sans-serif",
)
"""In a file of its own; blue and orange are told apart with the common kinds of color blindness."""


def finish(chart: Any, theme: Theme, description: str, **size: Any) -> Spec:
    """Make a specification from a chart over named data; the description is for who cannot see it."""
    spec: Spec = chart.properties(**size).to_dict()
    return spec | {"description": description, "config": _config(theme)}


def looks(names: Iterable[Any], *values: Any) -> alt.Scale:
    """Give each of some values its color, shape or dash."""
    import altair as alt

    return alt.Scale(domain=list(names), range=list(values))


def bare_axis(**properties: Any) -> alt.Axis:
    """Leave an axis only the names beside it."""
    import altair as alt

    return alt.Axis(ticks=False, domain=False, **properties)


def mark_interval(rows: alt.Chart, theme: Theme) -> Any:
    """Draw the 95 % intervals of rows that have one."""
    known = rows.transform_filter("isValid(datum.low) && isValid(datum.high)")
    return known.mark_rule(strokeWidth=2, color=theme.after, aria=False).encode(x="low:Q", x2="high:Q")


def titled(spec: Spec, title: str, lines: Iterable[str] = ()) -> Spec:
    """Give a picture a heading of its own, which a file needs, with lines below it; its description begins with it."""
    heading = {"text": wrap(title, LINE_OF_TITLE) or [""], "subtitle": [*lines]}
    return spec | {"title": heading, "description": f"{title.rstrip('.')}. {spec['description']}"}


def stacked(*specs: Spec) -> Spec:
    """Set pictures of one theme and of fixed widths below each other, as one over the data of all of them."""
    shared = {key: specs[0][key] for key in ("$schema", "config")}
    views = [{key: spec[key] for key in spec if key not in (*shared, "description")} for spec in specs]
    apart = dict.fromkeys(("stroke", "fill", "shape", "strokeDash"), "independent")
    description = " ".join(spec["description"] for spec in specs)
    return shared | {"description": description, "vconcat": views, "resolve": {"scale": apart}}


def _config(theme: Theme) -> Spec:
    words = {"labelColor": theme.soft, "titleColor": theme.text, "labelFontSize": 12, "titleFontSize": 12}
    lines = dict.fromkeys(("gridColor", "domainColor", "tickColor"), theme.line)
    return {
        "font": theme.font,
        "background": theme.background,
        "view": {"stroke": None},
        "axis": words | lines | {"titleFontWeight": "normal", "labelLimit": 220},
        "legend": words | {"orient": "top", "titleFontWeight": "normal", "symbolSize": 80, "title": None},
        "header": words | {"labelColor": theme.text},
        "title": {
            "color": theme.text,
            "subtitleColor": theme.soft,
            "fontSize": 14,
            "subtitleFontSize": 12,
            "anchor": "start",
            "offset": 14,
            "frame": "bounds",
        },
        "concat": {"spacing": 16},
    }
