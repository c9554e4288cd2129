"""The login, the roles of buttons, and the policy that the page runs under."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.pages.conftest import TOKENS
from tests.pages.console.conftest import Opener, as_operator, until
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


def test_the_login_stands_over_the_page_and_lets_each_tab_in(guarded: Up, screen: Opener) -> None:
    task = as_operator(guarded, "POST", "/tasks", {"command": ["true"], "title": "quiet"})["id"]
    window = screen(guarded)
    window.expected.append("401")
    page = window.open(f"/tasks/{task}")
    dialog = page.get_by_role("dialog", name="Log in to Towpath")
    expect(dialog.get_by_label("Token")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Token").fill("a-wrong-guess")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("none of the API's tokens")
    window.log_in("operator")
    expect(page.get_by_role("heading", level=1)).to_have_text("quiet")
    expect(page.locator(".actor")).to_contain_text("operator")
    tab = window.context.new_page()
    tab.goto(page.url)
    expect(tab.get_by_role("heading", level=1)).to_have_text("quiet")
    kept = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert TOKENS["operator"] not in kept
    assert "towpath_session" not in kept
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".page-head [data-state=succeeded]")).to_be_visible()
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    trail = page.request.get(f"{guarded.url}/tasks/{task}/events", headers=headers).json()["items"]
    assert trail[0]["actor"] == trail[1]["actor"] == "operator:operator"
    page.locator(".actor summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(dialog).to_be_visible()
    assert window.context.cookies() == []


def test_a_logout_leaves_nothing_to_see_in_any_tab_and_no_stream(guarded: Up, screen: Opener) -> None:
    as_operator(guarded, "POST", "/tasks", {"command": ["true"], "title": "not for the next one"})
    window = screen(guarded)
    window.expected.append("401")
    page = window.open("/tasks")
    window.log_in("operator")
    other = window.context.new_page()
    other.goto(f"{guarded.url}/console/log")
    for tab in (page, other):
        expect(tab.locator("main")).to_contain_text("not for the next one")
    answer = window.context.new_page()
    answer.goto(f"{guarded.url}/tasks")
    assert "not for the next one" in answer.content()
    answer.goto(f"{guarded.url}/docs")
    page.bring_to_front()
    page.locator(".actor summary").click()
    page.get_by_role("button", name="Log out").click()
    for tab in (page, other):
        expect(tab.get_by_role("dialog", name="Log in to Towpath")).to_be_visible()
        expect(tab.locator("main")).not_to_contain_text("not for the next one")
    until(page, lambda: live_streams(guarded) == 0)
    answer.go_back()
    assert "not for the next one" not in answer.content()


def live_streams(up: Up) -> float:
    headers = {"Authorization": f"Bearer {TOKENS['operator']}"}
    text = httpx.get(f"{up.url}/metrics", headers=headers, timeout=30).text
    return float(re.findall(r"^towpath_live_streams ([0-9.]+)$", text, re.MULTILINE)[0])


@pytest.mark.parametrize("role", list(TOKENS))
def test_what_a_role_forbids_is_shown_disabled_with_the_role_that_it_needs(
    guarded: Up, screen: Opener, role: str
) -> None:
    task = as_operator(guarded, "POST", "/tasks", {"command": ["true"], "pool": "none"})["id"]
    window = screen(guarded)
    window.expected.append("401")
    page = window.open(f"/tasks/{task}")
    window.log_in(role)
    run, cancel = page.get_by_role("button", name="Run"), page.get_by_role("button", name="Cancel…")
    if role in ("operator", "admin"):
        expect(run).to_be_enabled()
        expect(cancel).to_be_enabled()
    else:
        expect(run).to_be_disabled()
        expect(run).to_have_accessible_description("needs operator")
        expect(cancel).to_be_disabled()
    if role == "viewer":
        expect(page.get_by_label("Trail")).to_contain_text("for the role auditor")
    else:
        expect(page.locator(".trail li")).to_have_count(1)


def test_the_login_is_at_fault_for_no_screen_reader(guarded: Up, screen: Opener) -> None:
    for scheme in ("light", "dark"):
        window = screen(guarded, 390, 844, scheme, bypass_csp=True)
        window.expected.append("401")
        page = window.open("/tasks")
        page.get_by_role("dialog").wait_for()
        window.has_no_fault()


def test_no_script_style_or_markup_gets_in(up: Up, screen: Opener) -> None:
    window = screen(up)
    page = window.open("/tasks")
    page.get_by_role("heading", level=1).wait_for()
    assert window.complaints == []
    page.evaluate(
        """() => {
        const script = document.createElement('script');
        try { script.textContent = 'window.ran = true'; document.body.append(script); } catch { }
        const markup = '<img src=x onerror="window.ran = true">';
        try { document.body.insertAdjacentHTML('beforeend', markup); } catch { }
        const style = document.createElement('style');
        style.textContent = 'body { display: none }';
        document.head.append(style);
        const image = new Image();
        image.src = 'https://elsewhere.example/x.png';
        document.body.append(image);
        }"""
    )
    assert page.evaluate("window.ran") is None
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert len(window.complaints) >= 3, "planted faults are noticed"
    window.expected += ["Content Security Policy", "Trusted", "requires 'Trusted"]
    window.origins.discard("https://elsewhere.example")
