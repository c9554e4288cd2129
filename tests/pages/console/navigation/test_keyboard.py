"""Journeys by keyboard alone that no page owns: between pages, through a list, the help, back from the past.

Those of one page are in its own file: a task canceled, run again, asked and answered; a lock released; a
workspace added and removed; a runner forgotten; a search.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.pages.console.conftest import Opener
from tests.pages.console.installations import Lively
from tests.pages.console.looks import press
from tests.support.repository import REPO

pytestmark = pytest.mark.pages

RAIL = dict(
    re.findall(
        r'path: "(/[^":]*)", title: "[^"]*", page: \w+, nav: \{[^}]*key: "(.)"',
        (REPO / "api/console/src/pages.tsx").read_text(),
    )
)
"""Keys of the pages in the rail, by path."""


def test_g_and_a_letter_lead_to_each_page_of_the_rail(full: Lively, screen: Opener) -> None:
    page = screen(full.up).open("/nowhere")
    expect(page.locator("main .empty")).to_be_visible()
    assert page.locator(".rail li").count() == len(RAIL) >= 4
    for path, key in RAIL.items():
        press(page, "g", key)
        expect(page).to_have_url(f"{full.up.url}/console{path}")
        expect(page.locator(".rail a[aria-current=page]")).to_have_count(1)
        expect(page.locator("main")).to_be_focused()


def test_a_task_is_found_in_the_list_and_opened(full: Lively, screen: Opener) -> None:
    page = screen(full.up).open("/tasks?status=failed")
    expect(page.locator("tbody tr").first).to_be_visible()
    press(page, "j", "j", "k", "Enter")
    expect(page).to_have_url(re.compile("/console/tasks/[0-9a-f-]{36}$"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_first_tab_stop_skips_to_the_content(full: Lively, screen: Opener) -> None:
    page = screen(full.up).open("/locks")
    expect(page.locator(".claim").first).to_be_visible()
    press(page, "Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    press(page, "Enter")
    expect(page.locator("main")).to_be_focused()
    press(page, "Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_the_help_opens_gives_the_focus_back_and_switches_the_keys_off(full: Lively, screen: Opener) -> None:
    page = screen(full.up).open("/tasks")
    button = page.get_by_role("button", name="keyboard shortcuts")
    button.focus()
    press(page, "Enter")
    help_ = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_).to_contain_text("go to Locks")
    press(page, "Escape")
    expect(help_).to_have_count(0)
    expect(button).to_be_focused()
    press(page, "t")
    expect(page.get_by_role("slider", name="Moment")).to_be_focused()
    press(page, "?")  # also where no text is written
    expect(help_).to_contain_text("In the time machine")
    expect(help_).to_contain_text("one event back or on")
    on = help_.get_by_role("checkbox")
    on.focus()
    press(page, "Space", "Escape")
    expect(help_).to_have_count(0)
    press(page, "g", "l")
    expect(page).to_have_url(f"{full.up.url}/console/tasks")
    button.focus()
    press(page, "Enter")
    on.focus()
    press(page, "Space", "Escape")
    expect(help_).to_have_count(0)
    press(page, "g", "l")
    expect(page).to_have_url(f"{full.up.url}/console/locks")


def test_a_person_comes_back_from_the_past(full: Lively, screen: Opener) -> None:
    page = screen(full.up).open(f"/locks?at={full.past}")
    expect(page.locator(".claim").first).to_be_visible()
    page.get_by_role("button", name="Return to live").focus()
    press(page, "Enter")
    expect(page).to_have_url(f"{full.up.url}/console/locks")
    expect(page.locator(".past-banner")).to_have_count(0)
    assert page.evaluate("document.activeElement") is not None
