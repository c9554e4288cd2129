"""What holds of each page: its policy, its keyboard, hostile text, and that the past has nothing of now."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.pages.console.catalogue import PAGES, PageCase, show, text_of_past
from tests.pages.console.conftest import Opener
from tests.pages.console.installations import HOSTILE, Lively
from tests.pages.console.looks import layout_faults, settle

pytestmark = pytest.mark.pages

RTL = "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645"
PLANTS = {"hostile": f"{HOSTILE} {RTL}", "long": "W" * 10_000}
FREE_TEXTS = frozenset({
    "title", "message", "output_tail", "host", "hosts", "actor", "name", "root", "command", "question",
    "text", "choices", "default", "sentence", "detail", "by", "pools", "runner_id", "error", "body", "answer",
})  # fmt: skip
"""Fields that people and programs fill with what they like."""
DECEITFUL = r"[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]"
FOCUSABLE = "a[href], :is(button, input, select, textarea):not(:disabled), summary, [tabindex='0']"
_LIST_CONTROLS = """wanted => {
    window.nameOf = (one) => `${controls.indexOf(one)} ${one.outerHTML.slice(0, 100)}`;
    const there = (one) => one.tabIndex >= 0 && one.checkVisibility() && one.getClientRects().length > 0;
    window.controls = [...document.querySelectorAll(wanted)].filter(there);
    document.body.focus();
    return controls.map(nameOf);
}"""
_FOCUSED = """() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
    const outlined = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
    return [nameOf(document.activeElement), outlined || document.activeElement === document.body];
}"""
MOST_POINTED = 25
TRIES = 5
"""Rows that come meanwhile move what is beneath them, too, but not each time."""
TICK_PIXELS = 10
"""So far may a time that ticks push what stands beside it."""
pages = pytest.mark.parametrize("case", PAGES, ids=lambda case: case.name)


@pages
def test_it_keeps_its_policy_and_asks_nobody_else(full: Lively, screen: Opener, case: PageCase) -> None:
    """A violation of the policy is an error in the browser: `screen` fails with it, as with other origins."""
    page = screen(full.up).page
    show(page, case, "live", full, full.up.url)
    assert page.locator("script:not([src]), style, [onclick]").count() == 0


@pages
def test_the_keyboard_reaches_each_control_and_shows_where_it_is(
    full: Lively, screen: Opener, case: PageCase
) -> None:
    page = screen(full.up).page
    show(page, case, "live", full, full.up.url)
    missed = set(page.evaluate(_LIST_CONTROLS, FOCUSABLE))
    unseen: list[str] = []
    for _ in range(len(missed) + 4):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate(_FOCUSED)
        missed.discard(name)
        if not outlined:
            unseen.append(name)
    # rows may have come and gone meanwhile; what is still there was in reach
    assert not missed & set(page.evaluate("controls.map((one, index) => one.isConnected ? nameOf(one) : '')"))
    assert not unseen


@pages
def test_nothing_moves_under_the_pointer(full: Lively, screen: Opener, case: PageCase) -> None:
    """What moves when it is pointed at takes the click away from the button that was aimed at."""
    page = screen(full.up).page
    show(page, case, "live", full, full.up.url)
    for control in page.locator(".page :is(a, button):visible").all()[:MOST_POINTED]:
        assert any(_stays(page, control) for _ in range(TRIES)), control


@pytest.mark.parametrize("plant", PLANTS)
@pages
def test_planted_text_is_shown_as_text(full: Lively, screen: Opener, case: PageCase, plant: str) -> None:
    window = screen(full.up, width=1440)
    page = window.page
    page.route("**/*", lambda route: _plant(route, PLANTS[plant]))
    page.goto(f"{full.up.url}/console{case.address(full)}")
    page.locator(case.ready).first.wait_for()
    settle(page)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert layout_faults(page) == []
    text = page.evaluate("document.body.textContent + document.title")
    assert {"hostile": "<img src=x onerror", "long": "W" * 20}[plant] in text
    assert not re.search(DECEITFUL, text)
    assert page.evaluate("document.querySelectorAll('main img').length") == 0
    assert not page.title().startswith("owned")
    window.expected.append("net::ERR_ABORTED")
    page.unroute_all(behavior="ignoreErrors")  # a question for more output may be under way


@pages
def test_the_past_stays_as_it_was_and_changes_nothing(full: Lively, screen: Opener, case: PageCase) -> None:
    """The page of a moment is the same after the log has gone on, and no button sends a command."""
    window = screen(full.up)
    before = text_of_past(window.page, case, full)
    full.up.create(["true"], title="later", workspace="shop", lock_paths=["later"])
    expect(window.page.locator("main")).not_to_contain_text("later")
    after = text_of_past(window.page, case, full)
    assert after == before
    sent: list[str] = []
    window.page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    for button in window.page.locator("main .page button:visible:enabled").all():
        button.click()
    assert sent == []
    window.expected.append("404")


def _stays(page: Page, control: Locator) -> bool:
    """Whether `control` is where it was once it is pointed at."""
    control.scroll_into_view_if_needed()
    page.mouse.move(0, 0)
    before = control.bounding_box()
    control.hover(position={"x": 4, "y": 4})  # its middle may be cut off; nearer to a round corner is outside
    after = control.bounding_box()
    if before is None or after is None:
        return True
    return max(abs(after["x"] - before["x"]), abs(after["y"] - before["y"])) < TICK_PIXELS


def _plant(route: Route, text: str) -> None:
    request = route.request
    if (
        request.resource_type != "fetch"
        or "/console/" in request.url
        or "stream" in request.headers.get("accept", "")
    ):
        return route.fallback()
    answer = route.fetch()
    if "application/json" not in answer.headers.get("content-type", ""):
        return route.fulfill(response=answer)
    return route.fulfill(response=answer, body=json.dumps(_planted(answer.json(), text)))


def _planted(value: Any, text: str, field: str = "") -> Any:
    if isinstance(value, dict):
        if field == "labels":
            return {text: text}
        return {key: _planted(one, text, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_planted(one, text, field) for one in value]
    return text if isinstance(value, str) and field in FREE_TEXTS else value
