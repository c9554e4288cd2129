"""Debian's Chromium, as Playwright drives it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """A browser. The build without windows goes first: it opens a page in a third of the time."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if path is None:
        raise FileNotFoundError("install Debian's chromium: apt-get install chromium-headless-shell")
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to sandbox root
    browser = playwright.chromium.launch(executable_path=path, args=as_root)
    try:
        yield browser
    finally:
        browser.close()
