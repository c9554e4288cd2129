"""What a person does with a task: run it again, cancel it, answer it; and what new rows do to a list."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.pages.console.conftest import Opener
from tests.pages.console.looks import press
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

ASK = ["sh", "-c", 'towpath ask "Deploy <b>4.2</b>?" --choice yes --choice no']


def test_a_question_is_answered_from_its_page(up: Up, screen: Opener) -> None:
    task = up.create(ASK, title="deploy")
    page = screen(up).open(f"/tasks/{task}")
    expect(page.locator(".words")).to_have_text("Deploy <b>4.2</b>?")
    page.get_by_role("button", name="yes", exact=True).click()
    expect(page.locator(".page-head [data-state=succeeded]")).to_be_visible()
    expect(page.locator(".output pre")).to_contain_text("yes")
    (answered,) = up.events(task_id=task, event="answered")
    assert answered["data"]["choice"] == "yes"


def test_a_task_is_canceled_by_keyboard_alone_and_the_focus_returns(up: Up, screen: Opener) -> None:
    task = up.create(["sleep", "600"], title="forgotten")
    page = screen(up).open(f"/tasks/{task}")
    expect(page.locator(".page-head [data-state=running]")).to_be_visible()
    opener = page.get_by_role("button", name="Cancel…")
    opener.focus()
    page.keyboard.press("Enter")
    reason = page.get_by_label("Reason")
    expect(reason).to_be_focused()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    expect(reason).to_be_focused()
    page.keyboard.type("nobody needs it")
    page.keyboard.press("Enter")
    expect(page.locator(".page-head [data-state=canceled]")).to_be_visible()
    (asked,) = up.events(task_id=task, event="cancel-requested")
    assert asked["data"]["reason"] == "nobody needs it"


def test_a_failed_task_runs_again_and_only_as_it_was_seen(up: Up, screen: Opener) -> None:
    task = up.create(["false"], title="flaky")
    window = screen(up)
    page = window.open(f"/tasks/{task}")
    again = page.get_by_role("button", name="Run again")
    expect(again).to_be_enabled()
    page.route("**/why", lambda route: route.abort())  # the page goes on showing attempt 1
    up.post(f"/tasks/{task}/dispatch")
    window.expected += ["409", "ERR_FAILED"]
    again.click()
    expect(page.locator(".message.bad")).to_contain_text("no longer as you saw it")
    assert len(up.events(task_id=task, event="dispatched")) == 2


def test_new_rows_wait_until_they_are_asked_for(up: Up, screen: Opener) -> None:
    up.create(["true"], title="first", dispatch=False, labels={"of": "rows"})
    page = screen(up).open("/tasks?label=of:rows")
    expect(page.locator("tbody tr")).to_have_count(1)
    up.create(["true"], title="second", dispatch=False, labels={"of": "rows"})
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    press(page, ".")
    expect(page.locator("tbody tr").first).to_contain_text("second")


def test_while_the_api_is_away_what_was_known_stays_and_is_dimmed(up: Up, screen: Opener) -> None:
    window = screen(up)
    page = window.open("/tasks")
    expect(page.locator("tbody tr").first).to_be_visible()
    window.expected += ["ERR_FAILED", "503"]
    page.route("**/tasks?*", lambda route: route.abort())
    up.create(["true"], title="asked for in vain", dispatch=False)  # news, for which the page asks again
    expect(page.locator(".stale tbody tr").first).to_be_visible()
    expect(page.locator(".chip.away")).to_contain_text("again in")
    page.unroute("**/tasks?*")
    expect(page.locator(".chip.connected")).to_be_visible()
    expect(page.locator(".stale")).to_have_count(0)
