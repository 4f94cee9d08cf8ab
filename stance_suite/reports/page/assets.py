"""Styles and scripts of the page, inlined, and the policy that lets nothing else run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

STYLES = ("page.css", "top.css", "structure.css", "behavior.css", "provenance.css")
FRAGMENT_STYLE = "fragments.css"
SCRIPTS = ("page.js", "top.js", "structure.js", "spectra.js", "behavior.js", "provenance.js")


@dataclass(frozen=True)
class Inlined:
    """The content of one ``<style>`` or ``<script>`` element."""

    text: str
    """What stands in the element."""

    @property
    def source(self) -> str:
        """How a Content-Security-Policy names it: https://www.w3.org/TR/CSP3/#framework-directive-source-list."""
        return f"'sha256-{b64encode(sha256(self.text.encode()).digest()).decode()}'"


@cache
def fragment_style() -> Inlined:
    """Read the style of fragments on another tool's page."""
    return _asset(FRAGMENT_STYLE)


@cache
def styles() -> tuple[Inlined, ...]:
    """Read the page's styles."""
    return tuple(map(_asset, STYLES))


@cache
def scripts() -> tuple[Inlined, ...]:
    """Read the page's scripts, Vega-Lite and what it needs first."""
    import vl_convert

    return Inlined(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")), *map(_asset, SCRIPTS)


def content_security_policy() -> str:
    """Forbid the page everything but its own styles and scripts."""
    allowed = {"script-src": _sources(scripts()), "style-src": _sources(styles())}
    directives = {"default-src": "'none'", **allowed, "base-uri": "'none'", "form-action": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _sources(inlined: Iterable[Inlined]) -> str:
    return " ".join(one.source for one in inlined)


def _asset(name: str) -> Inlined:
    return Inlined(files("stance_suite.reports.page").joinpath("assets", name).read_text("utf-8"))
