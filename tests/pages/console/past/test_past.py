"""The past at random moments: each page shows a fold of the log to that event, and has no command."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from playwright.sync_api import Page, expect

from domain.locks.table import LockTable
from domain.log.record import Recorded
from tests.pages.conftest import running
from tests.pages.console.conftest import Opener
from tests.support.towpath import DEADLINE, Json, Up
from tests.support.waiting import until

pytestmark = pytest.mark.pages

MOMENTS = 50
SEED = 20_261_130
STATUSES = {
    "created": "created", "dispatched": "dispatched", "queued": "queued", "running": "running",
    "succeeded": "succeeded", "failed": "failed", "canceled": "canceled", "submit-failed": "submit failed",
}  # fmt: skip
HARMLESS = {"copy", "Try again", "Show more", "data", "wrap lines"}
"""Buttons that only change how the past is looked at."""


@dataclass
class Then:
    """What the log had come to, folded event by event; not as the API folds it."""

    tasks: dict[str, str] = field(default_factory=dict)
    """Words of the states by title."""
    claims: set[str] = field(default_factory=set)
    """`title token` of those who hold, `title place` of those who wait."""
    workspaces: set[str] = field(default_factory=set)


class Fold:
    """Folds the log, and says what pages must show."""

    def __init__(self, titles: dict[str, str]) -> None:
        self._titles = titles
        self._table = LockTable()
        self._status: dict[str, str] = {}

    def fold(self, event: Json) -> None:
        kind = event["type"].split(".")[1]
        subject = event["task_id"] if kind == "task" else event["workspace"]
        names = ("event", "id", "version", "attempt", "time", "actor", "chain", "data")
        self._table.fold(
            Recorded(seq=event["seq"], kind=kind, subject_id=subject, **{name: event[name] for name in names})
        )
        if kind == "task" and event["event"] in STATUSES:
            self._status[subject] = STATUSES[event["event"]]

    def then(self) -> Then:
        found = Then({self._titles[task]: word for task, word in self._status.items()})
        for workspace in self._table.workspaces():
            for holder in self._table.holders(workspace):
                found.claims.add(f"{self._titles[holder.claim.task_id]} {holder.token}")
            for place, waiter in enumerate(self._table.waiters(workspace), 1):
                title = self._titles[waiter.claim.task_id]
                found.claims.add(f"{title} waits, {place}")
                if found.tasks[title] == "dispatched":
                    found.tasks[title] = "waiting for lock"
        found.workspaces = {one.id for one in self._table.judge.registrations}
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A log with contention, failures, cancels, releases by hand and workspaces that come and go."""
    with running(tmp_path_factory.mktemp("past")) as up:
        rng = random.Random(SEED)
        for name in ("shop", "web", "gone"):
            up.workspace(name)
        commands = (["true"], ["sh", "-c", "exit 3"], ["sleep", "0.2"])
        tasks = [
            up.create(
                rng.choice(commands),
                title=f"task-{number}",
                workspace=rng.choice(("shop", "web")),
                lock_paths=rng.choice((["src"], ["src/api"], ["docs"], [])),
                lock_mode=rng.choice(("exclusive", "exclusive", "shared")),
            )
            for number in range(20)
        ]
        for task in tasks:
            until(lambda task=task: up.ended(task), DEADLINE)  # type: ignore[misc]
        kept = up.create(["sleep", "600"], title="kept", workspace="shop")
        up.create(["sleep", "600"], title="behind", workspace="shop", lock_paths=["src"])
        until(lambda: up.task(kept)["status"] == "running", DEADLINE)
        up.post(f"/tasks/{kept}/locks/release", {"reason": "tried"})
        assert httpx.delete(f"{up.url}/workspaces/gone", timeout=30).status_code == 204
        up.create(["true"], title="idle", dispatch=False)
        yield up


def show(page: Page, path: str) -> None:
    """Show another page without loading the console again, as a link does."""
    page.evaluate(
        "path => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')) }",
        f"/console{path}",
    )


def nothing_can_be_changed(page: Page) -> None:
    """The page has no control but those that move through the past."""
    controls = page.locator("main").locator("button, input, textarea, select, [contenteditable]")
    outside = controls.filter(visible=True).evaluate_all(
        "all => all.filter(one => !one.closest('.past-banner, nav, dialog:not([open])'))"
        ".map(one => [one.ariaLabel, one.textContent, one.labels?.[0]?.textContent, one.outerHTML])"
        ".map(names => names.find(Boolean).trim())"
    )
    assert set(outside) <= HARMLESS


def cells(page: Page, row: str, *selectors: str) -> list[list[str]]:
    """Texts of these parts of each row, all read at once."""
    found: list[list[str]] = page.locator(row).evaluate_all(
        "(all, parts) => all.map(row => parts.map(part =>"
        " (row.querySelector(part)?.innerText ?? '').replace(/\\s+/g, ' ').trim()))",
        list(selectors),
    )
    return found


def settled(page: Page, seq: int) -> None:
    """What is shown is of the wanted moment, not still that of another one."""
    expect(page.locator(".past-banner")).to_contain_text(f"As of {seq}")
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    expect(page.locator("main .skeleton")).to_have_count(0)


def test_each_page_of_the_past_is_a_fold_of_the_log_to_that_event(world: Up, screen: Opener) -> None:
    events = world.events()
    titles = {one["task_id"]: one["data"]["title"] for one in events if one["event"] == "created"}
    ids = {title: task for task, title in titles.items()}
    rng = random.Random(SEED)
    moments = sorted(rng.sample(range(1, len(events) + 1), min(MOMENTS, len(events))))
    fold = Fold(titles)
    page = screen(world, height=2400).open("/tasks?at=1")
    for event in events:
        fold.fold(event)
        seq = event["seq"]
        if seq not in moments:
            continue
        look(page, seq, fold.then(), ids, rng)


def look(page: Page, seq: int, then: Then, ids: dict[str, str], rng: random.Random) -> None:
    """Look at every page as of `seq`."""
    show(page, f"/tasks?at={seq}")
    until(lambda: tasks_shown(page, seq) == then.tasks, DEADLINE)
    nothing_can_be_changed(page)
    show(page, f"/locks?view=list&at={seq}")
    until(lambda: claims_shown(page, seq) == then.claims, DEADLINE)
    nothing_can_be_changed(page)
    show(page, f"/workspaces?at={seq}")
    until(lambda: workspaces_shown(page, seq) == then.workspaces, DEADLINE)
    nothing_can_be_changed(page)
    if then.tasks:
        title = rng.choice(sorted(then.tasks))
        show(page, f"/tasks/{ids[title]}?at={seq}")
        expect(page.locator("article h1")).to_have_text(title)
        expect(page.locator("article .title-row .status").first).to_have_text(then.tasks[title])
        nothing_can_be_changed(page)
    show(page, f"/runners?at={seq}")
    expect(page.get_by_text("Heartbeats are not in the log")).to_be_visible()
    nothing_can_be_changed(page)


def tasks_shown(page: Page, seq: int) -> dict[str, str]:
    """States by title, as the list has them."""
    settled(page, seq)
    return dict(cells(page, ".task-table tbody tr:has(.row-link)", ".row-link", ".status"))


def claims_shown(page: Page, seq: int) -> set[str]:
    """Who holds with which token, and who waits at which place."""
    settled(page, seq)
    parts = (".claim-state", "th[scope=row]", "td[data-name=token]")
    return {
        f"{title} {state if state.startswith('waits') else token}"
        for state, title, token in cells(page, ".claim-table tbody tr", *parts)
    }


def workspaces_shown(page: Page, seq: int) -> set[str]:
    settled(page, seq)
    return {name for (name,) in cells(page, ".workspace-table tbody tr", "th a")}
