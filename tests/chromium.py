"""Debian's Chromium through Playwright, which never downloads a browser here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SILENCED = ("gpu", "quic", "background-networking", "component-update", "sync")
ARGUMENTS = (*(f"--disable-{name}" for name in SILENCED), "--no-first-run")


def find_chromium() -> str | None:
    """The program's path, if it is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def start_chromium(program: str) -> Iterator[Browser]:
    """A browser without a window; it stops with the block."""
    # The sandbox refuses to start as root, who runs most containers.
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
