"""Debian's Chromium, and APIs to look at, for all tests of pages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.pages.chromium import launched
from tests.support.towpath import DEADLINE, Home, Up

TOKENS = {role: f"{role}-token-0123456789" for role in ("viewer", "auditor", "operator", "admin")}
expect.set_options(timeout=DEADLINE * 1000)
"""A machine may be busy: what comes at last is no failure."""


class Figures:
    """What a run has measured, printed at its end."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def add(self, name: str, figure: str) -> None:
        self.lines.append((name, figure))


_MEASURED = Figures()


@pytest.fixture
def figures() -> Figures:
    return _MEASURED


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the figures to the process that prints them, where tests run in several."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = _MEASURED.lines


def pytest_testnodedown(node: Any) -> None:
    _MEASURED.lines += [
        (name, figure) for name, figure in getattr(node, "workeroutput", {}).get("figures", [])
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _MEASURED.lines:
        terminalreporter.section("measured")
    for name, figure in _MEASURED.lines:
        terminalreporter.line(f"{name:44} {figure}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, launched(playwright) as browser:
        yield browser


@contextlib.contextmanager
def running(path: Path, **env: str) -> Iterator[Up]:
    """`towpath up` in `path`; all of it ends with the context, also where it never became ready."""
    with contextlib.closing(Home(path)) as home:
        yield home.up(**env)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """An open API."""
    with running(tmp_path_factory.mktemp("open")) as up:
        yield up


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """An API with a token of each role, named like its role."""
    entries = ",".join(f"{role}={role}:{token}" for role, token in TOKENS.items())
    with running(tmp_path_factory.mktemp("guarded"), TOWPATH_API_TOKENS=entries) as up:
        yield up
