"""One command for many tasks: what it asks first, what became of each, and what happens without an answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.pages.conftest import TOKENS
from tests.pages.console.conftest import Opener, as_operator, every_view
from tests.pages.console.looks import press
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


def created(up: Up, name: str, number: int) -> list[str]:
    return [
        up.create(["true"], title=f"{name} {one}", labels={"bulk": name}, dispatch=False)
        for one in range(number)
    ]


def opened(page: Page, number: int) -> None:
    """All of the list is chosen, and the dialog to cancel it is open."""
    expect(page.locator("tbody tr.row").first).to_be_visible()
    page.get_by_label("Select all").check()
    page.get_by_role("button", name=f"Cancel {number} tasks…").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{number} tasks")


def confirmed(page: Page, number: int) -> None:
    page.get_by_label("Type the number of tasks").fill(str(number))
    page.get_by_role("dialog").get_by_role("button", name="Cancel tasks").click()


def test_a_selection_with_the_mouse_stays_and_keys_work_on_it(up: Up, screen: Opener) -> None:
    created(up, "mouse", 5)
    page = screen(up).open("/tasks?label=bulk:mouse")
    rows = page.locator("tbody tr.row")
    expect(rows).to_have_count(5)
    rows.nth(2).get_by_role("checkbox").check()
    title = rows.nth(2).locator("a.row-link").inner_text()
    created(up, "mouse", 3)
    expect(page.get_by_role("button", name="3 new")).to_be_visible()
    press(page, ".")
    expect(rows).to_have_count(8)
    expect(page.locator("tr:has(input:checked) a.row-link")).to_have_text(title)
    rows.nth(5).get_by_role("checkbox").focus()
    press(page, "c")
    expect(page.get_by_role("dialog", name="Cancel tasks")).to_contain_text("1 task, as it is now")


def test_chosen_tasks_are_canceled_with_a_reason_by_keyboard_alone(up: Up, screen: Opener) -> None:
    tasks = created(up, "keys", 7)
    page = screen(up).open("/tasks?label=bulk:keys")
    expect(page.locator("tbody tr.row")).to_have_count(7)
    press(page, *"jx" * 6)
    expect(page.get_by_role("region", name="Chosen tasks")).to_contain_text("6 selected")
    press(page, "c")
    dialog = page.get_by_role("dialog", name="Cancel tasks")
    expect(dialog).to_contain_text("6 tasks, as they are now: 6 created.")
    expect(dialog.get_by_role("list", name="Some of them").get_by_role("link")).to_have_count(5)
    expect(dialog).to_contain_text("closing the tab stops it")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("a wrong release")
    page.keyboard.press("Tab")
    page.keyboard.type("5")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("It is 6.")
    page.keyboard.press("Backspace")
    page.keyboard.type("6")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("6 of 6 · 6 recorded · done")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("region", name="Chosen tasks")).to_have_count(0)
    ended = [up.task(one)["status"] for one in tasks]
    assert sorted(ended) == ["canceled"] * 6 + ["created"]
    (asked,) = up.events(task_id=tasks[-1], event="canceled")
    assert "a wrong release" in json.dumps(asked)


def test_all_that_a_search_finds_is_frozen_counted_and_sent(up: Up, screen: Opener) -> None:
    created(up, "whole", 130)
    window = screen(up)
    page = window.open("/tasks?label=bulk:whole")
    expect(page.locator("tbody tr.row").first).to_be_visible()
    sizes: list[int] = []
    page.on(
        "request",
        lambda one: (
            sizes.append(len(json.loads(one.post_data or "")["items"])) if "/bulk" in one.url else None
        ),
    )
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Select all 130 that match").click()
    page.get_by_role("button", name=re.compile("^Cancel .*…")).click()
    expect(page.get_by_role("dialog")).to_contain_text("130 tasks, as they are now: 130 created.")
    late = up.create(["true"], title="late", labels={"bulk": "whole"}, dispatch=False)
    confirmed(page, 130)
    expect(page.get_by_role("dialog")).to_contain_text("130 of 130 · 130 recorded · done")
    assert sizes == [100, 30]
    assert up.task(late)["status"] == "created"


def test_what_is_refused_is_read_again_and_tried_again_once_it_is_confirmed(up: Up, screen: Opener) -> None:
    first, second = created(up, "refused", 2)
    page = screen(up).open("/tasks?label=bulk:refused")
    opened(page, 2)
    up.post(f"/tasks/{first}/dispatch")  # the attempt that was seen is no longer the current one
    confirmed(page, 2)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 refused")
    expect(dialog.get_by_role("region", name="Results").get_by_role("listitem").first).to_contain_text(
        "refused refused 0"
    )
    dialog.get_by_role("button", name="Retry refused (1)…").click()
    expect(dialog).to_contain_text("1 task, as it is now")
    confirmed(page, 1)
    expect(dialog).to_contain_text(re.compile("1 of 1 · 1 (recorded|unchanged|refused) · done"))
    assert up.task(second)["status"] == "canceled"


def test_without_an_answer_it_stops_reads_again_and_never_repeats(up: Up, screen: Opener) -> None:
    created(up, "lost", 3)
    window = screen(up)
    page = window.open("/tasks?label=bulk:lost")
    opened(page, 3)
    sent: list[Any] = []

    def lose(route: Route) -> None:
        sent.append(route.request.post_data)
        route.fetch()
        route.fulfill(
            status=503, content_type="application/problem+json", body='{"code":"x","detail":"no quorum"}'
        )

    page.route("**/tasks/bulk", lose)
    window.expected.append("503")
    confirmed(page, 3)
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_have_text("no quorum")
    expect(dialog).to_contain_text("3 of 3 · 3 unknown · done")
    expect(dialog.get_by_role("region", name="Results")).to_contain_text(
        re.compile("now (created|canceled), attempt 0")
    )
    expect(dialog.get_by_role("button", name=re.compile("Retry|Send"))).to_have_count(0)
    assert len(sent) == 1


@every_view
def test_the_dialog_is_not_at_fault(up: Up, screen: Opener, width: int, height: int, scheme: str) -> None:
    name = f"view{width}{scheme}"
    created(up, name, 2)
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open(f"/tasks?label=bulk:{name}")
    expect(page.locator("tbody tr.row")).to_have_count(2)
    for one in page.locator("tbody .cell-pick label").all():
        one.click()
    page.get_by_role("button", name="Cancel 2 tasks…").click()
    window.has_no_fault()
    confirmed(page, 2)
    expect(page.get_by_role("dialog")).to_contain_text("done")
    window.has_no_fault()


def test_a_login_that_ends_halfway_is_asked_for_and_the_rest_is_sent_after_it(
    guarded: Up, screen: Opener
) -> None:
    for number in range(101):
        body = {"command": ["true"], "title": f"half {number}", "labels": {"bulk": "half"}}
        as_operator(guarded, "POST", "/tasks", body)
    window = screen(guarded)
    window.expected.append("401")
    page = window.open("/tasks?label=bulk:half")
    window.log_in("operator")
    expect(page.locator("tbody tr.row").first).to_be_visible()
    page.get_by_label("Select all").check()
    page.get_by_role("button", name="Select all 101 that match").click()
    page.get_by_role("button", name="Cancel all that match…").click()
    sent: list[Route] = []

    def send(route: Route) -> None:
        sent.append(route)
        if len(sent) == 2:
            window.context.clear_cookies()
        route.continue_()

    page.route("**/tasks/bulk", send)
    confirmed(page, 101)
    dialog = page.get_by_role("dialog", name="Cancel tasks")
    expect(dialog.get_by_role("alert")).to_contain_text("log in, and send it again")
    page.get_by_label("Token").fill(TOKENS["operator"])
    page.get_by_role("button", name="Log in").click()
    dialog.get_by_role("button", name="Send the other 1").click()
    expect(dialog).to_contain_text("101 of 101 · 101 recorded · done")
    assert len(sent) == 3


def test_viewers_see_which_role_it_needs(guarded: Up, screen: Opener) -> None:
    window = screen(guarded)
    window.expected.append("401")
    page = window.open("/tasks")
    window.log_in("operator")
    page.evaluate(
        """() => fetch('/tasks', {method: 'POST', headers: {'Content-Type': 'application/json',
        'X-Towpath-Console': '1'}, body: JSON.stringify({command: ['true'], title: 'one'})})"""
    )
    viewer = screen(guarded)
    viewer.expected.append("401")
    page = viewer.open("/tasks")
    viewer.log_in("viewer")
    page.get_by_label("Select one").check()
    bar = page.get_by_role("region", name="Chosen tasks")
    expect(bar.get_by_role("button", name="Cancel 1 task…")).to_be_disabled()
    expect(bar).to_contain_text("needs operator")
    press(page, "c")
    expect(page.get_by_role("dialog")).to_have_count(0)
