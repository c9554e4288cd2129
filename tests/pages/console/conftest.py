"""The console in a browser: each complaint of the browser's and each request to elsewhere fails a test."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.pages.conftest import TOKENS, running
from tests.pages.console.installations import (
    CAPACITY,
    HOSTILE,
    Lively,
    lively,
    receiving,
    second_runner,
)
from tests.pages.console.looks import COUNT_REQUESTS, faults_in_every_view
from tests.support.towpath import DEADLINE, Json, Server, Up

__all__ = ["HOSTILE"]
Case = TypeVar("Case", bound=Callable[..., None])


def every_view(test: Case) -> Case:
    """Gives `test` its arguments `width`, `height` and `scheme`; `has_no_fault` then looks in all of them."""
    return pytest.mark.parametrize(("width", "height", "scheme"), [(1440, 900, "light")])(test)


class Screen:
    """One window of the console, and what the browser says about it."""

    def __init__(self, up: Up, context: BrowserContext) -> None:
        self.up, self.context = up, context
        self.page = context.new_page()
        self.page.add_init_script(COUNT_REQUESTS)
        self.complaints: list[str] = []
        self.origins: set[str] = set()
        self.expected: list[str] = []
        """Parts of complaints that the test has caused on purpose."""
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: self.complaints.append(said.text))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "data":
            self.origins.add(f"{parts.scheme}://{parts.netloc}")

    def open(self, path: str) -> Page:
        """Show `/console` + `path`."""
        self.page.goto(f"{self.up.url}/console{path}")
        return self.page

    def log_in(self, role: str) -> None:
        """With the token of `role`, in the dialog that is open."""
        self.page.get_by_label("Token").fill(TOKENS[role])
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("dialog").wait_for(state="detached")

    def has_no_fault(self) -> None:
        """For a screen reader, as far as axe finds it, and to the eye, as far as it can be measured.

        Light and dark, wide, narrow and zoomed.
        """
        found = faults_in_every_view(self.page)
        assert not found, "\n".join(found)

    def check(self) -> None:
        """Nothing was loaded from elsewhere, and the browser complained of nothing but what was expected."""
        unexpected = [
            one for one in self.complaints if not any(expected in one for expected in self.expected)
        ]
        assert unexpected == []
        assert self.origins <= {self.up.url}


Opener = Callable[..., Screen]
Patient = tuple[Up, Server]


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    """With a second runner, which may be stopped for long before it counts as lost."""
    lease = {"TOWPATH_LEASE_SECONDS": "600"}
    with running(tmp_path, **lease) as up:
        yield up, second_runner(up, **lease)


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    """An installation that has everything, for tests that only look."""
    path = tmp_path_factory.mktemp("full")
    with receiving(path) as (_, told), running(path, **CAPACITY, **told) as up:
        yield lively(up)


@pytest.fixture
def screen(browser: Browser) -> Iterator[Opener]:
    """Opens windows: `screen(up, width=390, height=844, scheme="dark")`; checks each one at the end."""
    opened: list[Screen] = []
    with contextlib.ExitStack() as stack:

        def open_one(
            up: Up, width: int = 1440, height: int = 900, scheme: str = "light", **more: object
        ) -> Screen:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,  # type: ignore[arg-type]
                **more,  # type: ignore[arg-type]
            )
            context.set_default_timeout(DEADLINE * 1000)
            stack.callback(context.close)
            opened.append(Screen(up, context))
            return opened[-1]

        yield open_one
        for one in opened:
            one.check()


def as_operator(up: Up, method: str, path: str, body: Json | None = None) -> Json:
    """A request of a program with the operator's token."""
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    answer = httpx.request(method, up.url + path, json=body, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    found: Json = answer.json()
    return found


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for something outside of `page`, whose events go on meanwhile."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        page.wait_for_timeout(20)
