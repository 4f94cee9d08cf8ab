"""A report's page under watch: what it says on the console, what fails in it, and what it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Error, Page, Request


@dataclass
class Watch:
    """What a page did that a report must not do."""

    address: str
    """The report's own address, the one thing that may be asked for."""
    incidents: list[str] = field(default_factory=list)
    """One sentence each, in order."""

    def attach(self, page: Page) -> None:
        page.on("console", self._note_message)
        page.on("pageerror", self._note_error)
        page.on("request", self._note_request)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.incidents.append(f"console {message.type}: {message.text}")

    def _note_error(self, error: Error) -> None:
        self.incidents.append(f"uncaught: {error}")

    def _note_request(self, request: Request) -> None:
        if request.url.split("#")[0] != self.address:
            self.incidents.append(f"request: {request.method} {request.url[:200]}")
