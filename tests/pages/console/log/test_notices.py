"""Notices: what was told about a task, channels, and what could not be sent, which is sent again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import TOKENS, running
from tests.pages.console.conftest import Opener, as_operator, until
from tests.pages.console.installations import Receivers, receiving
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import until as until_true

pytestmark = pytest.mark.pages


@dataclass(frozen=True)
class Told:
    """An installation whose receiver `/pager` wanted none of the failures of `task` and another one."""

    up: Up
    receivers: Receivers
    task: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """With a token of each role, named like its role."""
    path = tmp_path_factory.mktemp("told")
    entries = ",".join(f"{role}={role}:{token}" for role, token in TOKENS.items())
    with (
        receiving(path) as (receivers, settings),
        running(path, TOWPATH_API_TOKENS=entries, **settings) as up,
    ):
        until_true(lambda: as_operator(up, "GET", "/notices/channels")["channels"], DEADLINE)
        made = [fail(up, title) for title in ("deploy", "nightly")]
        until_true(lambda: len(dead(up)) == 2, DEADLINE)
        yield Told(up, receivers, made[0])


def fail(up: Up, title: str) -> str:
    made = as_operator(up, "POST", "/tasks?dispatch=true", {"command": ["false"], "title": title})
    return str(made["id"])


def dead(up: Up) -> list[str]:
    return [str(one["title"]) for one in as_operator(up, "GET", "/notices?state=dead")["items"]]


def test_a_viewer_sees_what_was_told_and_may_send_nothing_again(told: Told, screen: Opener) -> None:
    window = screen(told.up)
    window.expected.append("401")
    page = window.open("/notices")
    window.log_in("viewer")
    undelivered = page.get_by_role("region", name="Not delivered")
    expect(undelivered.locator("[data-notice]")).to_have_count(2)
    expect(undelivered).to_contain_text("it answers 410")
    expect(page.locator("[data-channel=pager]")).to_contain_text("needs operator")
    expect(undelivered.get_by_role("button", name=re.compile("^Send again")).first).to_be_disabled()
    expect(page.get_by_role("status").get_by_text("notifier works")).to_be_visible()
    expect(page.locator("[data-channel=ops] [data-name=sent]")).to_have_text("2")


def test_what_was_told_about_a_task_is_asked_for_once_it_is_opened(told: Told, screen: Opener) -> None:
    window = screen(told.up)
    window.expected.append("401")
    asked: list[str] = []
    window.page.on("request", lambda one: asked.append(one.url) if "/notices" in one.url else None)
    page = window.open(f"/tasks/{told.task}")
    window.log_in("viewer")
    section = page.get_by_role("region", name="Notices")
    section.get_by_text("Who was told about this task").wait_for()
    assert asked == []
    section.get_by_text("Who was told about this task").click()
    expect(section.locator("[data-notice-state]")).to_have_count(2)
    expect(section.locator("tr", has_text="ops")).to_contain_text("sent")
    expect(section.locator("tr", has_text="pager")).to_contain_text("given up")
    section.locator("summary", has_text="all of it").first.click()
    expect(section.locator("pre").first).to_contain_text("exited with code 1")
    page.goto(f"{page.url}?at=2")
    expect(section).to_contain_text("They are not in the log")


def test_an_operator_sends_again_what_was_given_up(told: Told, screen: Opener) -> None:
    window = screen(told.up)
    window.expected.append("401")
    page = window.open("/notices")
    window.log_in("operator")
    undelivered = page.get_by_role("region", name="Not delivered")
    told.receivers.taken.add("/pager")
    undelivered.get_by_role("button", name=re.compile("^Send again: failed: deploy")).click()
    expect(page.get_by_text("It is sent to pager again.")).to_be_visible()
    until(page, lambda: "/pager" in told.receivers.got)
    expect(undelivered.locator("[data-notice]")).to_have_count(1)
    page.get_by_role("button", name="Send again what pager did not take").click()
    dialog = page.get_by_role("dialog", name="Send 1 notice to pager again?")
    dialog.get_by_role("button", name="Leave them").click()
    expect(page.get_by_role("button", name="Send again what pager did not take")).to_be_focused()
    assert dead(told.up) == ["nightly"]
    page.get_by_role("button", name="Send again what pager did not take").click()
    dialog.get_by_role("button", name="Send again").click()
    expect(undelivered).to_contain_text("None: every notice has arrived")
    until(page, lambda: told.receivers.got.count("/pager") == 2)
    expect(page.get_by_role("heading", name="Notices", level=1)).to_be_focused()
