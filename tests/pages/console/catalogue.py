"""Every page of the console and every state that it can be in, for the matrix and the contact sheet.

A new page is one more line in PAGES; a test compares them with the routes of `pages.tsx`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, Route, expect

from tests.pages.console.installations import Lively
from tests.pages.console.looks import press, settle
from tests.support.towpath import DEADLINE

SECONDS = DEADLINE * 1000


@dataclass(frozen=True)
class PageCase:
    """One route of the console.

    `address` is below `/console`; `ready` chooses what is there once the data is. `empty`: words of the page
    where nothing was ever done, None if it has no such state. `past`: like `ready`, where the past shows
    another thing.
    """

    name: str
    route: str
    address: Callable[[Lively], str]
    ready: str
    empty: str | None = None
    past: str | None = None


def _at(path: str) -> Callable[[Lively], str]:
    return lambda _: path


def _task(name: str) -> Callable[[Lively], str]:
    return lambda lively: f"/tasks/{lively.tasks[name]}"


PAGES = (
    PageCase("overview", "/", _at("/"), ".need", empty="Nothing: no lost", past=".overview .card + .card"),
    PageCase("tasks", "/tasks", _at("/tasks"), "tbody tr", empty="No task yet"),
    PageCase("task", "/tasks/:id", _task("failed"), ".output pre", past="main .failed"),
    PageCase("task-waiting", "/tasks/:id", _task("lint"), ".blockers", past=".blockers"),
    PageCase("task-asking", "/tasks/:id", _task("asking"), ".question", past="main .failed"),
    PageCase("locks", "/locks", _at("/locks"), ".claim.waits", empty="No workspace yet"),
    PageCase("workspace", "/locks/:workspace", _at("/locks/shop"), ".claim.waits"),
    PageCase("workspaces", "/workspaces", _at("/workspaces"), "tbody tr", empty="No workspace yet"),
    PageCase("runners", "/runners", _at("/runners"), "tbody tr", empty="No runner", past="main .empty"),
    PageCase("log", "/log", _at("/log"), ".log-line", empty="Nothing is recorded yet"),
    PageCase("event", "/log/:seq", _at("/log/1"), "pre.json"),
    PageCase("notices", "/notices", _at("/notices"), "[data-notice]", empty="No notifier is configured",
             past="main .empty"),
    PageCase("evidence", "/evidence", _at("/evidence"), ".verification-table tbody tr",
             empty="No verification is recorded", past="main .empty"),
)  # fmt: skip

PROBLEMS = {
    "forbidden": (
        403,
        "forbidden",
        "this needs the role auditor; yours is viewer",
        {"required_role": "auditor"},
    ),
    "nowhere": (404, "not-found", "there is no such thing here", {}),
    "busy": (
        503,
        "log-unavailable",
        "the log cannot be reached at the moment; try again in a few seconds",
        {},
    ),
    "full": (507, "log-full", "the log is full: 1.0 GiB of 1.0 GiB are taken", {}),
}
STATES = ("live", "past", "empty", "stale", "away", *PROBLEMS)


_LATER = """() => {
    const now = Date.now;
    Date.now = () => now() + 120_000;
    const again = setInterval(() => {
        if (document.querySelector('.stale') === null) dispatchEvent(new Event('online'));
        else clearInterval(again);
    }, 100);
}"""
"""Lets what is shown be so old that it is loaded again, once a load that is under way has ended."""


def cases() -> list[tuple[PageCase, str]]:
    """Each page with each state that it has."""
    return [(page, state) for page in PAGES for state in STATES if state != "empty" or page.empty is not None]


def show(page: Page, case: PageCase, state: str, full: Lively, empty_url: str) -> list[str]:
    """Bring `page` to this state; parts of the complaints of the browser that it causes."""
    page.unroute_all()
    base = f"{full.up.url}/console{case.address(full)}"
    if state == "empty":
        page.route("**/runners?*", lambda route: _answer(route, 200, {"items": [], "next_cursor": None}))
        page.goto(f"{empty_url}/console{case.address(full)}")
        expect(page.locator("main").get_by_text(str(case.empty)).first).to_be_visible(timeout=SECONDS)
        return []
    if state in ("live", "past", "stale"):
        page.goto(base + (f"{'&' if '?' in base else '?'}at={full.past}" if state == "past" else ""))
        ready = case.past if state == "past" and case.past is not None else case.ready
        page.locator(ready).first.wait_for(timeout=SECONDS)
        if state == "stale":
            _break(page, lambda route: route.abort())
            page.evaluate(_LATER)
            page.locator(".stale").first.wait_for(timeout=SECONDS)
        settle(page)
        return ["ERR_FAILED", "404"] if state != "live" else []
    if state == "away":
        _break(page, lambda route: route.abort())
    else:
        status, code, detail, more = PROBLEMS[state]
        body = {
            "type": f"urn:towpath:problem:{code}",
            "title": code,
            "status": status,
            "code": code,
            "detail": detail,
            **more,
        }
        _break(page, lambda route: _answer(route, status, body))
    page.goto(base)
    page.locator("main .failed").first.wait_for(timeout=SECONDS)
    return ["ERR_FAILED", *(str(problem[0]) for problem in PROBLEMS.values())]


def _open(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).first.click()
    page.get_by_role("dialog").wait_for()


def _keys(page: Page) -> None:
    press(page, "?")
    page.get_by_role("dialog").wait_for()


def _palette(page: Page) -> None:
    press(page, "Control+k")
    expect(page.locator("dialog [role=combobox]")).to_be_focused()
    page.keyboard.type("s")
    page.get_by_role("group", name="Workspaces").wait_for()


def _machine(page: Page) -> None:
    press(page, "t")
    page.get_by_role("slider", name="Moment").wait_for()


def _suggestions(page: Page) -> None:
    page.get_by_label("Search tasks").fill("status:")
    page.keyboard.press("ArrowDown")
    page.get_by_role("option").first.wait_for()


def _chosen(page: Page) -> None:
    page.locator("tbody .cell-pick label").first.click()
    page.get_by_role("region", name="Chosen tasks").wait_for()


def _forget(page: Page) -> None:
    """A lost runner that holds nothing, beside those that there are."""

    def lost(route: Route) -> None:
        body = route.fetch().json()
        gone = {"id": "host-9", "state": "lost", "running_attempts": [], "awaiting_operator": []}
        body["items"].append({**body["items"][0], **gone})
        _answer(route, 200, body)

    page.route("**/runners?*", lost)
    _open(page, "Forget host-9")


def _told(page: Page) -> None:
    page.get_by_text("Who was told about this task").click()
    page.locator("[data-notice]").first.wait_for()
    page.locator(".told summary").first.click()


MOMENTS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "dialog-release": ("/locks", lambda page: _open(page, "Release the lock of build")),
    "dialog-cancel": ("/tasks/:build", lambda page: _open(page, "Cancel…")),
    "dialog-add": ("/workspaces", lambda page: _open(page, "Add…")),
    "dialog-remove": ("/workspaces", lambda page: _open(page, "Remove docs-site")),
    "dialog-forget": ("/runners", _forget),
    "dialog-replay": ("/notices", lambda page: _open(page, "Send again what pager did not take")),
    "task-notices": ("/tasks/:failed", _told),
    "dialog-keys": ("/tasks", _keys),
    "palette": ("/", _palette),
    "time-machine": ("/locks", _machine),
    "compared": (
        "/locks?at=:past&compare=now",
        lambda page: page.locator(".now-tag, .since").first.wait_for(),
    ),
    "locks-history": ("/locks/shop?view=history", lambda page: page.locator(".lane").first.wait_for()),
    "tasks-suggestions": ("/tasks", _suggestions),
    "tasks-chosen": ("/tasks", _chosen),
    "search-nothing": ("/tasks?q=no-such-thing", lambda page: page.locator(".empty").wait_for()),
    "no-such-page": ("/nowhere", lambda page: page.locator(".empty").wait_for()),
}
"""Dialogs and the like: a page, and what a person does there."""


def show_moment(page: Page, name: str, full: Lively) -> None:
    """Bring `page` to one of MOMENTS."""
    path, act = MOMENTS[name]
    page.unroute_all()
    for name in ("build", "failed"):
        path = path.replace(f":{name}", full.tasks[name])
    path = path.replace(":past", str(full.past))
    page.goto(full.up.url + "/console" + path)
    settle(page)
    act(page)


def text_of_past(page: Page, case: PageCase, full: Lively) -> str:
    """What `case` shows of the moment `full.past`: it must never change."""
    show(page, case, "past", full, full.up.url)
    return page.locator("main .page").inner_text()


def _break(page: Page, answer: Callable[[Route], None]) -> None:
    """Let `answer` stand for all routes but the console's own and the session's."""
    page.route(lambda url: "/console/" not in url and not url.endswith("/session"), answer)


def _answer(route: Route, status: int, body: object) -> None:
    kind = "application/json" if status == 200 else "application/problem+json"
    route.fulfill(status=status, body=json.dumps(body), content_type=kind)
