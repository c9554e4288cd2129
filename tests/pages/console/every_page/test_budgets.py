"""The budgets of the console. Times are asserted in relation to how slow this machine is at the moment.

The figures are printed at the end of the run. CONSOLE_SECONDS=60 measures the feed for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.pages.conftest import Figures, running
from tests.pages.console.catalogue import PAGES, SECONDS, PageCase
from tests.pages.console.crowd import fill, meanwhile
from tests.pages.console.installations import CAPACITY, Lively, lively, receiving
from tests.pages.console.looks import settle

pytestmark = pytest.mark.pages

FIRST_LOAD_KB, FIRST_LOAD_REQUESTS = 120, 12
MOST_NODES = 3000
CROWD = 100_000
FIRST_ROWS_MS = {1: 1000, 4: 2500}
EVENTS_PER_SECOND = 1000
FEED_SECONDS = float(os.environ.get("CONSOLE_SECONDS", "8"))
LONGEST_TASK_MS = TYPING_MS = 100
HEAP_MB = 20
TRIES = 3
LOOP_MS = 45.0
"""What `_LOOP` takes on an idle machine of two cores: the unit of all times here."""
_LOOP = """() => {
    const begun = performance.now();
    let sum = 0;
    for (let i = 0; i < 3e6; i += 1) sum += Math.sqrt(i) % 7;
    return performance.now() - begun + sum * 0;
}"""
_FIRST_ROWS = """new MutationObserver((_, observer) => {
    if (document.querySelector('tbody tr') === null) return;
    window.firstRows = performance.now();
    observer.disconnect();
}).observe(document, { childList: true, subtree: true });"""
_WATCH = """() => {
    window.longest = window.typing = 0;
    const note = (list) => { longest = Math.max(longest, ...list.getEntries().map((one) => one.duration)); };
    new PerformanceObserver(note).observe({ type: 'longtask' });
    document.addEventListener('keydown', () => {
        const begun = performance.now();
        const painted = () => { typing = Math.max(typing, performance.now() - begun); };
        requestAnimationFrame(() => setTimeout(painted));
    }, true);
}"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    """An installation with the usual things, and 100,000 tasks."""
    path = tmp_path_factory.mktemp("crowd")
    settings = {**CAPACITY, "TOWPATH_NATS_SYNC_INTERVAL": "1s"}
    with receiving(path) as (_, told), running(path, **settings, **told) as up:
        fill(up, CROWD)
        yield lively(up)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def gauge(browser: Browser) -> Iterator[Page]:
    """A page of its own, in which the machine is measured."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case.name)
def test_a_first_load_is_small(full: Lively, page: Page, figures: Figures, case: PageCase) -> None:
    session = _cdp(page)
    urls: dict[str, str] = {}
    sizes: dict[str, float] = {}
    """By address: on a slow machine, some of it is asked for again before all of it is shown."""
    session.on(
        "Network.responseReceived", lambda one: urls.update({one["requestId"]: one["response"]["url"]})
    )
    session.on(
        "Network.loadingFinished",
        lambda one: sizes.setdefault(urls.get(one["requestId"], one["requestId"]), one["encodedDataLength"]),
    )
    session.send("Network.enable")
    page.goto(f"{full.up.url}/console{case.address(full)}")
    page.locator(case.ready).first.wait_for(timeout=SECONDS)
    session.send("Network.disable")
    # the worker that all tabs share, and its stream: no session of the page sees them
    kilobytes, requests = (sum(sizes.values()) + _worker_bytes(page)) / 1024, len(sizes) + 2
    figures.add(f"first load of {case.name}", f"{kilobytes:.1f} KB in {requests} requests")
    assert kilobytes <= FIRST_LOAD_KB
    assert requests <= FIRST_LOAD_REQUESTS


@pytest.mark.parametrize("slower", FIRST_ROWS_MS)
def test_the_first_of_100_000_tasks_come_at_once(
    full: Lively, page: Page, gauge: Page, figures: Figures, slower: int
) -> None:
    page.add_init_script(_FIRST_ROWS)
    busy = 1.0
    _cdp(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    taken = []
    for _ in range(3):
        page.goto(f"{full.up.url}/console/tasks")
        page.locator("tbody tr").first.wait_for(timeout=SECONDS)
        taken.append(page.evaluate("firstRows"))
        busy = max(busy, _slowness(gauge))
    figures.add(f"first rows of 100,000 at {slower}x", f"{min(taken):.0f} ms (machine {busy:.1f}x)")
    assert min(taken) <= FIRST_ROWS_MS[slower] * busy


def test_the_list_of_100_000_tasks_stays_small(full: Lively, page: Page, figures: Figures) -> None:
    page.goto(f"{full.up.url}/console/tasks")
    page.locator("tbody tr").first.wait_for(timeout=SECONDS)
    page.mouse.move(700, 500)
    most = 0
    for _ in range(20):
        page.mouse.wheel(0, 5000)
        settle(page)
        most = max(most, page.evaluate("document.querySelectorAll('*').length"))
    below = page.evaluate("scrollY")
    figures.add("most elements of the list, scrolled", f"{most}, {below:.0f} px below its top")
    assert below > 10_000
    assert most <= MOST_NODES


@dataclass(frozen=True)
class Pace:
    """How the page went along with `rate` events a second; `busy`: how slow the machine was meanwhile."""

    rate: float
    longest: float
    typing: float
    grown: float
    busy: float

    def __str__(self) -> str:
        return (
            f"longest task {self.longest:.0f} ms, typing {self.typing:.0f} ms, heap {self.grown:+.1f} MB "
            f"(machine {self.busy:.1f}x)"
        )

    @property
    def fits(self) -> bool:
        """Whether it is within the budgets."""
        return (
            self.rate > EVENTS_PER_SECOND / 2 / self.busy
            and self.longest <= LONGEST_TASK_MS * self.busy
            and self.typing <= TYPING_MS * self.busy
            and self.grown <= HEAP_MB
        )


def test_1000_events_a_second_leave_the_page_at_hand(
    full: Lively, page: Page, gauge: Page, figures: Figures
) -> None:
    """Once of TRIES: what else the machine does in between is no fault of the page."""
    page.goto(f"{full.up.url}/console/tasks")
    page.locator("tbody tr").first.wait_for(timeout=SECONDS)
    found: list[Pace] = []
    while not (found and found[-1].fits) and len(found) < TRIES:
        found.append(_paced(full, page, gauge))
        figures.add(f"at {found[-1].rate:.0f} events/s for {FEED_SECONDS:.0f} s", str(found[-1]))
    assert found[-1].fits, "; ".join(map(str, found))


def _paced(full: Lively, page: Page, gauge: Page) -> Pace:
    """Type while events come in."""
    session = _cdp(page)
    before = _heap(session)
    page.evaluate(_WATCH)
    busy = 1.0
    with meanwhile(full.up, lambda crowd: crowd.steadily(EVENTS_PER_SECOND, FEED_SECONDS)) as written:
        page.locator("header input").focus()
        while not written:
            page.keyboard.type("status:failed ", delay=40)
            page.keyboard.press("Control+a")
            busy = max(busy, _slowness(gauge))
    longest, typing = page.evaluate("[longest, typing]")
    return Pace(written[0] / FEED_SECONDS, longest, typing, _heap(session) - before, busy)


def _worker_bytes(page: Page) -> float:
    script = str(page.locator("script[src]").get_attribute("src"))
    worker = page.request.get(
        urljoin(page.url, script.replace("console.js", "feed-worker.js")), headers={"Accept-Encoding": "gzip"}
    )
    return float(worker.headers["content-length"])


def _cdp(page: Page) -> CDPSession:
    return page.context.new_cdp_session(page)


def _heap(session: CDPSession) -> float:
    """Megabytes in use after a collection."""
    session.send("HeapProfiler.collectGarbage")
    used: dict[str, Any] = session.send("Runtime.getHeapUsage")
    return float(used["usedSize"]) / 1e6


def _slowness(page: Page) -> float:
    """How much longer a loop takes now than on an idle machine; never below 1."""
    return max(1.0, float(page.evaluate(_LOOP)) / LOOP_MS)
