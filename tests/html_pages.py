"""Reading HTML in tests: which elements there are, and what pytest-html shows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from typing import Any


@dataclass
class Parsed(HTMLParser):
    """Elements with their attributes, and the text between them, in order."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if not self.elements or self.elements[-1][0] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return squeeze(" ".join(self.texts))

    @property
    def attributes(self) -> list[tuple[str, str | None]]:
        return [one for _, attributes in self.elements for one in attributes.items()]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def squeeze(text: str) -> str:
    """Make one space of any, as a browser shows them."""
    return " ".join(text.split())


def parse(html: str) -> Parsed:
    parsed = Parsed()
    parsed.feed(html)
    parsed.close()
    return parsed


@dataclass(frozen=True)
class Row:
    """A row of pytest-html's table."""

    test: str
    result: str
    verdict: str
    fragments: tuple[str, ...]


@dataclass(frozen=True)
class PytestHtml:
    """A report of pytest-html."""

    html: str

    @property
    def summary(self) -> str:
        """What stands first below the heading of the summary, before pytest-html's own."""
        start = self.html.index('<div class="additional-summary prefix">')
        return self.html[start : self.html.index('<p class="run-count">')]

    @property
    def rows(self) -> list[Row]:
        (container,) = (one for one in parse(self.html).all("div") if one.get("id") == "data-container")
        tests = chain.from_iterable(json.loads(container["data-jsonblob"])["tests"].values())
        return [Row(one["testId"], one["result"], parse(one["verdict"]).text, contents(one)) for one in tests]


def contents(test: dict[str, Any]) -> tuple[str, ...]:
    return tuple(extra["content"] for extra in test["extras"])


def read_pytest_html(path: Path) -> PytestHtml:
    return PytestHtml(path.read_text("utf-8"))
