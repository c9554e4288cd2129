"""The session in the browser: what each role finds on each page, and what becomes of a session that ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import TOKENS
from tests.pages.console.conftest import Opener, Screen, as_operator
from tests.pages.console.looks import settle
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

RANK = {role: rank for rank, role in enumerate(("viewer", "auditor", "operator", "admin"))}
NEEDS = {
    "/tasks/:id": {"Run": "operator", "Cancel…": "operator"},
    "/locks/roles": {"Release the lock of held": "operator"},
    "/workspaces": {"Add…": "operator", "Remove roles": "admin"},
    "/runners": {},
}
"""Buttons of commands by page, with the role that each needs."""


@pytest.fixture(scope="module")
def task(guarded: Up) -> str:
    """A task that was never dispatched; another one holds all of workspace `roles`."""
    root = guarded.home.path / "roles"
    root.mkdir()
    as_operator(guarded, "PUT", "/workspaces/roles", {"root": str(root)})
    held = {"command": ["true"], "title": "held", "workspace": "roles", "pool": "none"}
    as_operator(guarded, "POST", "/tasks?dispatch=true", held)
    return str(as_operator(guarded, "POST", "/tasks", {"command": ["true"], "title": "idle"})["id"])


def logged_in(window: Screen, role: str) -> Page:
    """The session of `role`, without its dialog."""
    url = window.up.url
    headers = {"X-Towpath-Console": "1", "Origin": url}
    answer = window.context.request.post(f"{url}/session", data={"token": TOKENS[role]}, headers=headers)
    assert answer.ok
    return window.page


@pytest.mark.parametrize("role", RANK)
def test_each_button_is_shown_to_each_role_and_names_the_role_that_it_needs(
    guarded: Up, task: str, screen: Opener, role: str
) -> None:
    window = screen(guarded)
    page = logged_in(window, role)
    for path, buttons in NEEDS.items():
        page.goto(f"{guarded.url}/console{path.replace(':id', task)}")
        for name, needed in buttons.items():
            button = page.get_by_role("button", name=name, exact=True)
            if RANK[role] >= RANK[needed]:
                expect(button).to_be_enabled()
            else:
                expect(button).to_be_disabled()
                expect(button).to_have_accessible_description(f"needs {needed}")
        settle(page)
        may = set(page.locator(".page .button:enabled").all_inner_texts())
        assert not may or RANK[role] >= RANK["operator"], f"{role} may {may} on {path}"


@pytest.mark.parametrize("ended", ["expired", "forged"])
def test_a_session_that_ends_asks_again_over_the_page_that_stays(
    guarded: Up, task: str, screen: Opener, ended: str
) -> None:
    window = screen(guarded)
    page = logged_in(window, "operator")
    page.goto(f"{guarded.url}/console/tasks/{task}")
    expect(page.get_by_role("heading", level=1)).to_have_text("idle")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_label("Reason").fill("typed before the session ended")
    window.expected.append("401")
    (cookie,) = window.context.cookies()
    window.context.clear_cookies()
    if ended == "forged":  # as after its token was taken away: the signature is none of this API's
        cookie["value"] = cookie["value"][:-4] + "AAAA"
        window.context.add_cookies([cookie])  # type: ignore[list-item]
    # not the mouse: the page may have asked by itself, and its login lie over the button
    page.get_by_role("button", name="Cancel task").dispatch_event("click")
    dialog = page.get_by_role("dialog", name="Log in to Towpath")
    expect(dialog).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="idle")).to_have_count(1)
    assert as_operator(guarded, "GET", f"/tasks/{task}")["cancel_requested"] is False
    window.log_in("operator")
    expect(page.get_by_role("heading", level=1)).to_have_text("idle")
    expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()
