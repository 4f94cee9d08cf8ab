"""Templates that escape what they insert; inlined styles and scripts, and the policy that lets nothing else run."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING

from stance_suite.files import write_atomically
from stance_suite.report import format as written
from stance_suite.report.behavior import mean_divergences

if TYPE_CHECKING:
    from jinja2 import Environment, Template

STYLES = ("page.css", "top.css", "structure.css", "behavior.css", "provenance.css")
FRAGMENT_STYLE = "fragments.css"
SCRIPTS = ("page.js", "top.js", "structure.js", "spectra.js", "behavior.js", "provenance.js")


@cache
def fragment_style() -> str:
    """Read the style of fragments on another tool's page, and of the column of verdicts in pytest-html's table."""
    return _asset(FRAGMENT_STYLE)


@cache
def styles() -> tuple[str, ...]:
    """Read the page's styles, in the order of the cascade."""
    return tuple(map(_asset, STYLES))


@cache
def scripts() -> tuple[str, ...]:
    """Read the page's scripts in the order in which they must run, Vega-Lite and what it needs first."""
    return _vega(), *map(_asset, SCRIPTS)


def _vega() -> str:
    """Bundle Vega-Lite and what it needs, or read what the user's cache has kept: bundling takes seconds."""
    import vl_convert
    from platformdirs import user_cache_path

    kept = user_cache_path("stance-suite", appauthor=False) / f"vega-{version('vl-convert-python')}.js"
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text("utf-8")
    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    with suppress(OSError):  # a cache that cannot be written costs time only
        write_atomically(kept, bundle.encode())
    return bundle


def content_security_policy() -> str:
    """Forbid the page everything but its own styles and scripts: else nothing is fetched, sent or evaluated."""
    allowed = {"script-src": scripts(), "style-src": styles()}
    named = {name: " ".join(map(_source, inlined)) for name, inlined in allowed.items()}
    directives = {"default-src": "'none'", **named, "base-uri": "'none'", "form-action": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _source(inlined: str) -> str:
    """Name an element as a policy does: https://www.w3.org/TR/CSP3/#framework-directive-source-list."""
    return f"'sha256-{_base64(sha256(inlined.encode()).digest())}'"


def _asset(name: str) -> str:
    return files("stance_suite.report.page").joinpath("assets", name).read_text("utf-8")


def template(name: str) -> Template:
    """Get a template by the name of its file; it escapes what it inserts."""
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("stance_suite.report.page")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    environment.filters |= {
        "number": written.show_signed,
        "counted": written.show_count,
        "figure": written.show_figure,
        "interval": written.show_interval,
        "unit": written.show_unit,
        "p_value": written.show_p_value,
        "p_values": written.show_p_values,
        "mean_divergences": mean_divergences,
        "svg_address": _svg_address,
    }
    return environment


def _svg_address(svg: str) -> str:
    """Turn a picture into an address for ``<img>``: there its ids are its own, and nothing in it runs or is fetched."""
    return f"data:image/svg+xml;base64,{_base64(svg.encode())}"


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
