"""The palette: each page, task, workspace, runner, action and sequence without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.console.conftest import HOSTILE, Opener, every_view
from tests.pages.console.looks import press
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module")
def task(up: Up) -> str:
    """The id of a task that was never dispatched, in an installation with a workspace."""
    up.workspace("shop")
    return up.create(["true"], title="nightly report", dispatch=False)


def typed(page: Page, text: str) -> None:
    """Type `text` into the palette, once the page has it."""
    page.get_by_role("button", name="command palette").wait_for()
    press(page, "Control+k")
    expect(page.locator("dialog [role=combobox]")).to_be_focused()
    page.keyboard.type(text)


def picks(page: Page, label: str) -> None:
    """The selected entry, which a screen reader is told of, is `label`; Enter takes it."""
    selected = page.locator('[role=option][aria-selected="true"]')
    expect(selected).to_contain_text(label)
    assert page.locator("dialog [role=combobox]").get_attribute(
        "aria-activedescendant"
    ) == selected.get_attribute("id")
    page.keyboard.press("Enter")
    expect(page.locator("dialog [role=combobox]")).to_have_count(0)


@every_view
def test_it_is_not_at_fault_for_a_screen_reader_or_a_narrow_window(
    up: Up, task: str, screen: Opener, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True)
    page = window.open("/tasks")
    page.get_by_role("link", name="nightly report").wait_for()
    typed(page, "o")
    page.get_by_role("option", name=re.compile("shop")).wait_for()
    window.has_no_fault()


def test_pages_tasks_and_workspaces_are_found_by_their_names(up: Up, task: str, screen: Opener) -> None:
    page = screen(up).open("/tasks")
    typed(page, "locks")
    picks(page, "Locks")
    expect(page).to_have_url(re.compile("/console/locks$"))
    expect(page.locator("main")).to_be_focused()
    typed(page, "nightly")
    picks(page, "nightly report")
    expect(page).to_have_url(re.compile(f"/console/tasks/{task}$"))
    typed(page, task[-8:])
    picks(page, "nightly report")
    typed(page, "shop")
    picks(page, "shop")
    expect(page).to_have_url(re.compile("/console/locks/shop$"))


def test_a_runner_is_found_and_marked_on_its_page(up: Up, task: str, screen: Opener) -> None:
    page = screen(up).open("/tasks")
    runner = up.get("/runners")["items"][0]["id"]
    typed(page, runner)
    picks(page, runner)
    expect(page.locator("main [aria-current]")).to_contain_text(runner)


def test_a_number_leads_to_the_page_as_of_that_sequence(up: Up, task: str, screen: Opener) -> None:
    page = screen(up).open("/tasks")
    page.get_by_role("link", name="nightly report").wait_for()
    seq = up.task(task)["seq"]
    typed(page, f"{seq}")
    picks(page, f"Go to sequence {seq}")
    expect(page).to_have_url(re.compile(rf"/console/tasks\?at={seq}$"))
    typed(page, "return")
    picks(page, "Return to live")
    expect(page).to_have_url(re.compile("/console/tasks$"))
    typed(page, "1s ago")
    picks(page, "Go to ")
    expect(page).to_have_url(re.compile(r"/console/tasks\?at=20\d\d-"))


def test_the_actions_of_a_page_are_there_and_do_what_its_buttons_do(up: Up, screen: Opener) -> None:
    mine = up.create(["true"], title="to be canceled", dispatch=False)
    page = screen(up).open(f"/tasks/{mine}")
    page.get_by_role("button", name="Cancel…").wait_for()
    typed(page, "cancel")
    picks(page, "Cancel…")
    expect(page.get_by_role("dialog", name="Cancel this task?")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.locator("dialog [role=combobox]")).to_have_count(0)


def test_the_focus_returns_and_arrows_go_around_the_ends(up: Up, task: str, screen: Opener) -> None:
    page = screen(up).open("/tasks")
    row = page.get_by_role("link", name="nightly report")
    row.focus()
    press(page, "Control+k")
    expect(page.locator("dialog [role=combobox]")).to_be_focused()
    options = page.get_by_role("option")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.type("nothing is called like this")
    expect(options).to_have_count(0)
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("dialog [role=combobox]")).to_have_count(0)
    expect(row).to_be_focused()


def test_hostile_titles_are_text_in_it(up: Up, screen: Opener) -> None:
    up.create(["true"], title=HOSTILE, dispatch=False)
    page = screen(up).open("/tasks")
    typed(page, "img src")
    expect(page.get_by_role("option").first).to_contain_text("<img src=x onerror")
    assert page.locator("[role=listbox] img").count() == 0


def test_keys_that_are_switched_off_stay_off_and_the_palette_opens_all_the_same(
    up: Up, task: str, screen: Opener
) -> None:
    page = screen(up).open("/tasks")
    page.get_by_role("link", name="nightly report").wait_for()
    press(page, "?")
    page.get_by_label("Shortcuts of single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("link", name="nightly report").wait_for()
    press(page, "?", "g", "l", "Control+k")
    expect(page.locator("dialog [role=combobox]")).to_be_focused()
    expect(page).to_have_url(re.compile("/console/tasks$"))
