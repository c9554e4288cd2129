"""The live feed: one connection a browser, resumed after every loss; pages load only what has changed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import running
from tests.pages.console.conftest import Opener, as_operator, until
from tests.support.towpath import Home, Up

pytestmark = pytest.mark.pages

WITHOUT_WORKERS = "delete window.SharedWorker"
HIDING = """
window.__hidden = false;
Object.defineProperty(document, "hidden", { get: () => window.__hidden });
window.__hide = (hidden) => {
  window.__hidden = hidden;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
RECORDING = """
window.__heard = [];
window.EventSource = class extends window.EventSource {
  constructor(url) {
    super(url);
    const keep = (one) => window.__heard.push([Number(one.lastEventId), JSON.parse(one.data)]);
    this.addEventListener("message", keep);
  }
};
"""

DROPPING = """
const keep = window.__heard.push.bind(window.__heard);
window.__drop = window.__dropped = false;
window.__heard.push = (one) => {
  if (!window.__drop || one[1].tasks.length === 0) return keep(one);
  window.__drop = false;
  window.__dropped = true;
  return 0;
};
"""


def streams(up: Up) -> int:
    """Live streams that are open at the API."""
    found = re.search(r"^towpath_live_streams (\d+)", httpx.get(f"{up.url}/metrics").text, re.M)
    assert found is not None
    return int(found[1])


def is_live(page: Page, up: Up) -> None:
    """The chip shows the newest sequence."""
    last = f"{up.events()[-1]['seq']}"
    expect(page.locator(".top .chip .mono")).to_have_text(re.compile(rf"{last}$"))


def test_eight_tabs_share_one_connection_and_all_hear_of_a_task(up: Up, screen: Opener) -> None:
    up.create(["true"], title="first", dispatch=False)
    window = screen(up)
    tabs = [window.context.new_page() for _ in range(8)]
    for tab in tabs:
        tab.goto(f"{up.url}/console/tasks")
        expect(tab.get_by_role("link", name="first")).to_be_visible()
    until(window.page, lambda: streams(up) == 1)
    up.create(["true"], title="second", dispatch=False)
    for tab in tabs:
        tab.bring_to_front()
        tab.get_by_role("button", name="1 new").click()
        expect(tab.get_by_role("link", name="second")).to_be_visible()
    assert streams(up) == 1


def test_a_page_loads_again_when_the_feed_names_what_it_shows_and_not_else(up: Up, screen: Opener) -> None:
    window = screen(up)
    asked: list[str] = []
    window.page.on("request", lambda request: asked.append(request.url))
    page = window.open("/workspaces")
    page.get_by_text("No workspace yet").wait_for()
    up.create(["true"], title="elsewhere", dispatch=False)
    is_live(page, up)
    loads = [url for url in asked if "/workspaces?" in url]
    up.create(["true"], title="elsewhere, too", dispatch=False)
    is_live(page, up)
    assert [url for url in asked if "/workspaces?" in url] == loads
    up.workspace("news")
    expect(page.get_by_role("rowheader", name="news")).to_be_visible()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with contextlib.closing(Home(tmp_path)) as home:
        yield home


@pytest.mark.parametrize("shared", [True, False])
def test_a_killed_api_that_comes_back_is_followed_on_with_every_sequence_once(
    home: Home, screen: Opener, shared: bool
) -> None:
    up = home.up()
    before = up.create(["true"], title="before", dispatch=False)
    window = screen(up)
    window.expected += ["ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY", "503"]
    if not shared:
        window.page.add_init_script(WITHOUT_WORKERS + RECORDING)
    page = window.open("/tasks")
    page.get_by_role("link", name="before").wait_for()
    is_live(page, up)
    page.evaluate("window.__same = true")
    up.server.kill()
    away = page.locator(".chip.link.away")
    expect(away).to_contain_text(re.compile(r"not connected · last known \d\d:\d\d:\d\d · again in"))
    expect(page.get_by_role("button", name=re.compile("^not live"))).to_be_visible()
    expect(page.locator(".loaded.stale")).to_be_visible()
    up = home.up("--port", up.url.rpartition(":")[2], "--nats-port", up.nats_port)
    after = up.create(["true"], title="after", dispatch=False)
    up.post(f"/tasks/{before}/cancel", {})
    expect(away).to_have_count(0)
    page.get_by_role("button", name="1 new").click()
    expect(page.get_by_role("link", name="after")).to_be_visible()
    expect(page.locator("tbody [data-state=canceled]")).to_be_visible()
    is_live(page, up)
    assert page.evaluate("window.__same") is True
    if not shared:
        heard_each_once(page, up, before, after)


def test_a_dropped_message_is_seen(up: Up, screen: Opener) -> None:
    """The check of the feed refuses a stream that leaves one message out."""
    window = screen(up)
    window.page.add_init_script(WITHOUT_WORKERS + RECORDING + DROPPING)
    up.create(["true"], title="before", dispatch=False)
    page = window.open("/tasks")
    is_live(page, up)
    tasks = []
    for number in range(3):
        page.evaluate(f"window.__drop = {str(number == 1).lower()}")
        task = up.create(["true"], title=f"number {number}", dispatch=False)
        tasks.append(task)  # each has a message of its own
        heard = f"__heard.some((one) => one[1].tasks.some((it) => it.id === '{task}'))"
        until(page, partial(page.evaluate, "__dropped" if number == 1 else heard))
    heard_each_once(page, up, tasks[0], tasks[2])
    with pytest.raises(AssertionError):
        heard_each_once(page, up, *tasks)


def heard_each_once(page: Page, up: Up, *tasks: str) -> None:
    """The last event of each of `tasks` came over the stream, and none came twice."""
    heard = [(task["id"], task["seq"]) for _, data in page.evaluate("__heard") for task in data["tasks"]]
    assert len(heard) == len(set(heard))
    last = dict(heard)
    assert {one: last.get(one) for one in tasks} == {one: up.events(task_id=one)[-1]["seq"] for one in tasks}


def test_a_hidden_tab_without_shared_workers_gives_its_stream_back_and_misses_nothing(
    up: Up, screen: Opener
) -> None:
    window = screen(up)
    window.page.add_init_script(WITHOUT_WORKERS + ";" + HIDING)
    window.page.clock.install()
    until(window.page, lambda: streams(up) == 0)  # those of windows before it have ended
    page = window.open("/tasks")
    is_live(page, up)
    until(page, lambda: streams(up) == 1)
    page.evaluate("__hide(true)")
    page.clock.fast_forward(31_000)
    until(page, lambda: streams(up) == 0)
    up.create(["true"], title="while hidden", dispatch=False)
    page.evaluate("__hide(false)")
    page.get_by_role("button", name="1 new").click()
    expect(page.get_by_role("link", name="while hidden")).to_be_visible()
    until(page, lambda: streams(up) == 1)


def test_where_the_api_has_no_room_for_a_stream_its_position_is_looked_at(
    tmp_path: Path, screen: Opener
) -> None:
    with running(tmp_path, TOWPATH_MAX_STREAMS="1") as up:
        up.create(["true"], title="first", dispatch=False)
        window = screen(up)
        window.expected.append("503")
        with httpx.stream("GET", f"{up.url}/changes") as taken:
            chunks = taken.iter_raw()  # kept: to let go of it would close the stream
            next(chunks)
            page = window.open("/tasks")
            expect(page.locator(".chip.link")).to_contain_text("looks every 5s")
            up.create(["true"], title="second", dispatch=False)
            page.get_by_role("button", name="1 new").click()
        expect(page.locator(".chip.link")).to_have_text("connected")


def test_a_logout_is_one_of_all_tabs_and_so_is_the_login_after_it(guarded: Up, screen: Opener) -> None:
    as_operator(guarded, "POST", "/tasks?dispatch=false", {"command": ["true"], "title": "seen"})
    window = screen(guarded)
    window.expected.append("401")
    page = window.open("/tasks")
    window.log_in("viewer")
    other = window.context.new_page()
    other.goto(f"{guarded.url}/console/tasks")
    expect(other.get_by_role("link", name="seen")).to_be_visible()
    other.locator(".actor summary").click()
    other.get_by_role("button", name="Log out").click()
    page.bring_to_front()
    expect(page.get_by_role("dialog", name="Log in")).to_be_visible()
    window.log_in("viewer")
    other.bring_to_front()
    expect(other.get_by_role("dialog", name="Log in")).to_have_count(0)
    expect(other.locator(".actor")).to_contain_text("viewer")
