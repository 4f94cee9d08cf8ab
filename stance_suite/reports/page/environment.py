"""The templates of the page and of its fragments: whatever they insert is escaped."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING

from stance_suite.reports.behavior import mean_divergences
from stance_suite.reports.text import (
    show_count,
    show_figure,
    show_interval,
    show_p_value,
    show_p_values,
    show_signed,
    show_unit,
)

if TYPE_CHECKING:
    from jinja2 import Environment, Template


def template(name: str) -> Template:
    """Get a template."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("stance_suite.reports.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    environment.filters["number"] = show_signed
    environment.filters["counted"] = show_count
    environment.filters["figure"] = show_figure
    environment.filters["interval"] = show_interval
    environment.filters["unit"] = show_unit
    environment.filters["p_value"] = show_p_value
    environment.filters["p_values"] = show_p_values
    environment.filters["mean_divergences"] = mean_divergences
    environment.filters["svg_address"] = _svg_address
    return environment


def _svg_address(svg: str) -> str:
    """Turn a picture into an address for ``<img>``: there its ids are its own, and nothing in it runs or is fetched."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
