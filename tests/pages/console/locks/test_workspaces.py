"""The page of workspaces: what is registered, added and removed, and by which role."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import TOKENS
from tests.pages.console.conftest import Opener, as_operator, every_view
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


def test_a_workspace_is_added_and_removed_by_keyboard_alone(up: Up, screen: Opener) -> None:
    root = up.home.path / "added"
    root.mkdir()
    page = screen(up).open("/workspaces")
    opener = page.get_by_role("button", name="Add…")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("added")
    page.keyboard.press("Tab")
    page.keyboard.type(str(root))
    page.keyboard.press("Tab")
    page.keyboard.type("h")  # chooses `hold`
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    row = page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name="added", exact=True))
    expect(row).to_contain_text(str(root))
    expect(row).to_contain_text("hold")
    expect(row).to_contain_text("none")
    expect(opener).to_be_focused()
    row.get_by_role("button", name="Remove added").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.type("no longer needed")
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    (removed,) = up.events(workspace="added", event="removed")
    assert removed["data"]["reason"] == "no longer needed"


def test_one_in_use_is_linked_to_its_locks_and_not_removed(up: Up, screen: Opener) -> None:
    up.workspace("in-use")
    task = up.create(["sleep", "600"], title="holds", workspace="in-use", lock_paths=["src"])
    window = screen(up)
    page = window.open("/workspaces")
    row = page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name="in-use"))
    expect(row).to_contain_text("1 held · 0 waiting")
    window.expected.append("409")
    remove = row.get_by_role("button", name="Remove in-use")
    remove.click()
    page.get_by_label("Reason").fill("try it")
    page.get_by_role("button", name="Remove workspace").click()
    expect(page.locator(".message.bad")).to_be_visible()
    expect(remove).to_be_focused()
    row.get_by_role("link", name="1 held").click()
    expect(page).to_have_url(f"{up.url}/console/locks/in-use")
    up.post(f"/tasks/{task}/cancel")


def test_what_was_typed_stays_when_a_root_is_refused(up: Up, screen: Opener) -> None:
    up.workspace("outer")
    window = screen(up)
    page = window.open("/workspaces")
    page.get_by_role("button", name="Add…").click()
    page.get_by_label("Name").fill("inner")
    page.get_by_label("Root").fill(str(up.home.path / "outer" / "inner"))
    window.expected.append("409")
    page.get_by_role("button", name="Add workspace").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator(".refused")).to_contain_text("outer")
    expect(page.get_by_label("Name")).to_have_value("inner")


def test_the_past_shows_what_was_registered_and_held_then_and_no_command(up: Up, screen: Opener) -> None:
    up.workspace("once")
    (added,) = up.events(workspace="once", event="registered")
    task = up.create(["sleep", "600"], title="holds", workspace="once")
    page = screen(up).open("/workspaces")
    row = page.locator("tbody tr").filter(has=page.get_by_role("rowheader", name="once"))
    expect(row).to_contain_text("1 held · 0 waiting")
    page.goto(f"{page.url}?at={added['seq']}")
    expect(row).to_contain_text(str(up.home.path / "once"))
    expect(row).to_contain_text("none")
    assert page.locator(".page .button").count() == 0
    page.goto(f"{up.url}/console/workspaces?at={added['seq'] - 1}")
    expect(page.get_by_role("status").filter(has_text="workspace")).to_be_visible()
    expect(row).to_have_count(0)
    up.post(f"/tasks/{task}/cancel")


@pytest.mark.parametrize("role", list(TOKENS))
def test_adding_needs_an_operator_and_removing_an_admin(guarded: Up, screen: Opener, role: str) -> None:
    root = guarded.home.path / f"roles-{role}"
    root.mkdir()
    as_operator(guarded, "PUT", f"/workspaces/roles-{role}", {"root": str(root)})
    window = screen(guarded)
    window.expected.append("401")
    page = window.open("/workspaces")
    window.log_in(role)
    add = page.get_by_role("button", name="Add…")
    remove = page.get_by_role("button", name=f"Remove roles-{role}")
    for button, needed, allowed in (
        (add, "operator", {"operator", "admin"}),
        (remove, "admin", {"admin"}),
    ):
        if role in allowed:
            expect(button).to_be_enabled()
        else:
            expect(button).to_be_disabled()
            expect(button).to_have_accessible_description(f"needs {needed}")


@every_view
@pytest.mark.parametrize("which", ["live", "past", "empty", "add"])
def test_the_page_of_workspaces_is_at_fault_for_no_screen_reader_or_narrow_window(
    up: Up, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.page
    if which == "empty":
        empty = '{"items":[],"next_cursor":null}'
        page.route("**/workspaces?*", lambda one: one.fulfill(body=empty, content_type="application/json"))
        window.open("/workspaces")
        expect(page.get_by_text("towpath workspaces add shop")).to_be_visible()
    elif which == "past":
        window.open(f"/workspaces?at={up.events()[-1]['seq']}")
        expect(page.locator("tbody tr, .empty").first).to_be_visible()
    else:
        window.open("/workspaces")
        expect(page.locator("tbody tr, .empty").first).to_be_visible()
        if which == "add":
            page.get_by_role("button", name="Add…").click()
    window.has_no_fault()
