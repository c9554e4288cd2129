"""The log: live, paused, far back and after a killed API, every sequence once; an event under its link."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.pages.console.conftest import HOSTILE, Opener, as_operator, every_view, until
from tests.pages.console.looks import press
from tests.support.towpath import Home, Up

pytestmark = pytest.mark.pages

ROWS = ".log-line"
WALK = """async () => {
  const box = document.querySelector(".log-box");
  const seen = [];
  box.scrollTop = 0;
  for (;;) {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const row of box.querySelectorAll(".log-line")) {
      const seq = Number(row.dataset.seq);
      if (!seen.includes(seq)) seen.push(seq);
    }
    if (box.scrollTop + box.clientHeight >= box.scrollHeight - 2) return seen;
    box.scrollTop += box.clientHeight / 2;
  }
}"""
"""Goes through the log from its first row to its end; returns the sequences as they stand."""


def some_events(up: Up, number: int, **spec: object) -> None:
    """`number` tasks that only exist."""
    with httpx.Client(base_url=up.url, timeout=30) as http:
        for index in range(number):
            body = {"command": ["true"], "title": f"task {index}", **spec}
            http.post("/tasks", json=body).raise_for_status()


def last_seq(up: Up) -> int:
    return int(up.get("/log")["last"]["seq"])


def shows(page: Page, seq: int) -> None:
    """The log's last row is `seq`, and in sight."""
    expect(page.locator(f"{ROWS}[data-seq='{seq}']")).to_be_in_viewport()


@every_view
@pytest.mark.parametrize("which", ["live", "past", "empty", "event"])
def test_the_log_is_at_fault_for_no_screen_reader_or_narrow_window(
    up: Up, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    up.create(["true"], title=HOSTILE, dispatch=False)
    paths = {"past": "/log?at=1", "empty": "/log?actor=nobody", "event": "/log/1"}
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open(paths.get(which, "/log"))
    if which == "empty":
        expect(page.get_by_text("No event fits these filters")).to_be_visible()
    elif which == "event":
        expect(page.locator("pre.json")).to_contain_text('"seq": 1')
    else:
        expect(page.locator(ROWS).first).to_be_visible()
    if which == "past":
        assert page.locator(ROWS).count() == 1
        assert page.get_by_role("button", name="Pause").count() == 0
    window.has_no_fault()


def test_the_log_follows_pauses_by_key_and_counts_what_comes(up: Up, screen: Opener) -> None:
    some_events(up, 40)
    page = screen(up).open("/log")
    shows(page, last_seq(up))
    up.create(["true"], title="followed", dispatch=False)
    shows(page, last_seq(up))
    expect(page.get_by_role("link", name="followed")).to_be_visible()
    press(page, "p")
    expect(page.locator(".log .chip")).to_have_text("paused")
    top = page.locator(".log-box").evaluate("(one) => one.scrollTop")
    some_events(up, 3)
    expect(page.get_by_role("button", name="3 new")).to_be_visible()
    assert page.locator(".log-box").evaluate("(one) => one.scrollTop") == top
    page.keyboard.press("p")
    shows(page, last_seq(up))
    expect(page.get_by_role("button", name="new")).to_have_count(0)


def test_scrolling_up_pauses_reads_older_pages_and_the_way_down_has_no_gap(up: Up, screen: Opener) -> None:
    some_events(up, 450)
    last = last_seq(up)
    page = screen(up).open("/log")
    shows(page, last)
    box = page.locator(".log-box")
    box.hover()
    page.mouse.wheel(0, -600)
    expect(page.locator(".log .chip")).to_have_text("paused")
    some_events(up, 7)
    expect(page.get_by_role("button", name="7 new")).to_be_visible()

    def is_first() -> bool:
        box.evaluate("(one) => { one.scrollTop = 0; }")
        return page.get_by_text("This is the first one.").count() == 1

    until(page, is_first)
    assert page.evaluate("document.querySelectorAll('*').length") <= 3000
    walked = page.evaluate(WALK)
    if walked[-1] < last + 7:  # the end of the walk shows what was held
        shows(page, last + 7)
        walked = page.evaluate(WALK)
    assert walked == list(range(1, last + 8))
    expect(page.locator(".log .chip")).to_have_text("follows")


def test_lines_of_one_moment_stay_until_those_of_the_next_are_there(up: Up, screen: Opener) -> None:
    some_events(up, 6)
    page = screen(up).open("/log?at=6")
    shows(page, 6)
    held: list[Route] = []
    page.route(re.compile(r"/events\?.*to=5\b"), lambda route: held.append(route))
    press(page, "t")
    expect(page.get_by_role("slider", name="Moment")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("at=5$"))
    until(page, lambda: len(held) > 0)
    expect(page.locator(".log .loaded[aria-busy=true]")).to_be_visible()
    shows(page, 6)
    assert page.locator(".log .skeleton").count() == 0
    held[0].continue_()
    expect(page.locator(f"{ROWS}[data-seq='6']")).to_have_count(0)
    shows(page, 5)
    expect(page.locator(".log .loaded[aria-busy=false]")).to_be_visible()


def test_what_is_read_in_the_past_stays_in_sight_while_older_lines_come(up: Up, screen: Opener) -> None:
    some_events(up, max(0, 300 - last_seq(up)))
    page = screen(up).open("/log?at=300")
    shows(page, 300)
    box = page.locator(".log-box")
    height = box.evaluate("(one) => one.scrollHeight")
    box.hover()
    page.mouse.wheel(0, -100_000)
    until(page, lambda: box.evaluate("(one) => one.scrollHeight") > 2 * height)
    shows(page, 257)  # the first of the page
    expect(page.locator(f"{ROWS}[data-seq='300']")).not_to_be_in_viewport()


def test_filters_stand_in_the_address_and_are_the_apis(up: Up, screen: Opener) -> None:
    up.workspace("shop")
    task = up.create(["true"], title="one", workspace="shop", lock_paths=["src"])
    page = screen(up).open("/log")
    until(page, lambda: up.ended(task) is not None)
    page.get_by_role("link", name="Locks", exact=True).last.click()
    expect(page.locator(f"{ROWS} .event").first).to_contain_text("lock")
    assert "kind=lock" in page.url
    page.get_by_label("Workspace", exact=True).fill("shop")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(2)
    page.locator(".log-events summary").click()
    page.get_by_label("lock released").check()
    expect(page.locator(ROWS)).to_have_count(1)
    assert "event=released" in page.url
    page.reload()
    expect(page.locator(ROWS)).to_have_count(1)
    second = up.create(["true"], title="two", workspace="shop", lock_paths=["src"])
    until(page, lambda: up.ended(second) is not None)
    expect(page.locator(ROWS)).to_have_count(2)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with contextlib.closing(Home(tmp_path)) as home:
        yield home


@pytest.mark.parametrize("paused", [False, True])
def test_a_killed_api_in_mid_stream_leaves_no_gap_and_no_line_twice(
    home: Home, screen: Opener, paused: bool
) -> None:
    up = home.up()
    some_events(up, 60)
    window = screen(up)
    window.expected += ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "503"]
    page = window.open("/log")
    shows(page, 60)
    if paused:
        press(page, "p")
        expect(page.locator(".log .chip")).to_have_text("paused")
    page.evaluate("window.__same = true")
    some_events(up, 5)
    up.server.kill()
    expect(page.locator(".log .chip.away")).to_contain_text("again in")
    up = home.up("--port", up.url.rpartition(":")[2], "--nats-port", up.nats_port)
    some_events(up, 30)
    if paused:
        expect(page.get_by_role("button", name="35 new")).to_be_visible()
        page.keyboard.press(".")
    shows(page, 95)
    page.evaluate(WALK)  # reads the lines before the first ones
    until(page, lambda: page.evaluate(WALK) == list(range(1, 96)))
    assert page.evaluate("window.__same") is True


def test_an_event_has_its_json_as_text_and_leads_to_what_was_then(up: Up, screen: Opener) -> None:
    task = up.create(["true"], title=HOSTILE, dispatch=False)
    (created,) = up.events(task_id=task)
    seq = created["seq"]
    large = "12345678901234567890123"
    answer = json.dumps({**created, "data": {"large": 1, "text": "a\u202eb"}}).replace(": 1,", f": {large},")
    page = screen(up).page
    page.route(f"**/events/{seq}", lambda one: one.fulfill(body=answer, content_type="application/json"))
    page.goto(f"{up.url}/console/log/{seq}")
    text = page.locator("pre.json")
    expect(text).to_contain_text(f'"large": {large}')
    expect(page.locator("aside").get_by_role("link", name=re.compile("<img src=x"))).to_be_visible()
    assert page.title() != "owned"
    page.get_by_role("link", name="the task", exact=True).click()
    expect(page.locator(".past-banner strong")).to_have_text(f"As of {seq}")
    page.goto(f"{up.url}/console/log/{seq}")
    expect(text).to_contain_text(f'"large": {large}')
    press(page, "k")
    expect(page.locator(".crumbs .mono")).to_have_text(f"{seq - 1}")
    press(page, "j")
    expect(page.locator(".crumbs .mono")).to_have_text(f"{seq}")
    page.goto(f"{up.url}/console/log/{seq}?at={seq - 1}")
    expect(page.get_by_text("This event came after the moment that is shown")).to_be_visible()


def test_the_copied_commands_ask_the_same(up: Up, screen: Opener) -> None:
    window = screen(up, permissions=["clipboard-read", "clipboard-write"])
    page = window.open("/log?kind=lock&workspace=shop")
    page.get_by_role("button", name="nats sub").click()
    assert page.evaluate("navigator.clipboard.readText()") == "nats sub 'towpath.lock.shop.*'"
    page.get_by_role("button", name="curl").click()
    asked = page.evaluate("navigator.clipboard.readText()")
    assert asked.startswith(f"curl -N '{up.url}/events/stream?")
    wanted = {"event=granted", "event=refused", "event=released", "workspace=shop"}
    assert {one for one in re.split("[?&']", asked) if "=" in one} == wanted


@pytest.mark.parametrize("role", ["viewer", "auditor"])
def test_a_viewer_is_told_which_role_the_log_needs_and_asks_for_nothing(
    guarded: Up, screen: Opener, role: str
) -> None:
    as_operator(guarded, "POST", "/tasks", {"command": ["true"], "pool": "none"})
    window = screen(guarded)
    window.expected.append("401")
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    page = window.open("/log")
    window.log_in(role)
    if role == "auditor":
        expect(page.locator(ROWS).first).to_be_visible()
        return
    expect(page.get_by_text("The log needs the role auditor")).to_be_visible()
    expect(page.get_by_label("Workspace", exact=True)).to_be_disabled()
    page.goto(f"{guarded.url}/console/log/1")
    expect(page.get_by_text("The log needs the role auditor")).to_be_visible()
    assert [url for url in asked if "/events" in url] == []
