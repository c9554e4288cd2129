"""The pages of locks: the tree, who is behind whom, the release by hand, and the past."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.conftest import TOKENS, running
from tests.pages.console.conftest import HOSTILE, Opener, Patient, as_operator, every_view
from tests.pages.console.installations import SECOND
from tests.support.towpath import Json, Up

pytestmark = pytest.mark.pages

DEEP = "dist/<b>x</b>/\u202egnp"
LONG = "L" * 500
Locks = tuple[Up, dict[str, str]]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locks]:
    """Two workspaces with holders and waiters, and the ids of their tasks by title."""
    with running(tmp_path_factory.mktemp("locks")) as up:
        ids = {}

        def claim(title: str, workspace: str, *paths: str, **more: Any) -> None:
            claimed: Json = {"workspace": workspace, "lock_paths": list(paths)}
            ids[title] = up.create(["sleep", "600"], title=title, **claimed, **more)

        up.workspace("shop")
        up.workspace("web")
        claim("build", "shop", "src")
        claim("docs", "shop", "docs", lock_mode="shared")
        claim("test", "shop", "src/api")
        claim("lint", "shop", "src/api")
        claim(HOSTILE, "web", DEEP)
        claim(LONG, "web", "dist")
        yield up, ids


def card(page: Page, workspace: str) -> Locator:
    found = page.get_by_role("region", name=workspace, exact=True)
    expect(found.locator(".claim.holds")).not_to_have_count(0)
    return found


@every_view
@pytest.mark.parametrize("which", ["all", "one", "past", "nowhere", "dialog"])
def test_no_page_of_locks_is_at_fault_for_a_screen_reader_or_a_narrow_window(
    held: Locks, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    up, _ = held
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open("/locks")
    card(page, "web")
    if which == "one":
        window.open("/locks/shop")
        page.get_by_text("behind").first.wait_for()
    elif which == "past":
        window.open(f"/locks?at={up.events()[-1]['seq']}")
        card(page, "shop")
    elif which == "nowhere":
        window.expected.append("404")
        window.open("/locks/nowhere")
        page.get_by_role("alert").get_by_role("link", name="All locks").wait_for()
    elif which == "dialog":
        page.get_by_role("button", name="Release the lock of build").click()
        page.get_by_text("may run on").wait_for()
    window.has_no_fault()


def test_the_tree_the_order_and_the_chain(held: Locks, screen: Opener) -> None:
    up, ids = held
    page = screen(up).open("/locks")
    shop = card(page, "shop")
    expect(page.locator(".lock-card h2").first).to_have_text("shop")
    build = shop.locator(".claim.holds").filter(has=page.get_by_role("link", name="build"))
    token = up.holders()[ids["build"]]
    expect(build).to_contain_text(f"token {token}")
    expect(build).to_contain_text("lease")
    expect(shop.get_by_text("held from above by build")).to_be_visible()
    waiting = shop.get_by_role("list", name="waiting in shop").locator("> li")
    expect(waiting).to_have_count(2)
    expect(waiting.nth(0).locator(".behind")).to_have_text("behind build (holds src)")
    expect(waiting.nth(1).locator(".behind")).to_have_text("behind build (holds src) and test (waits)")
    waiting.nth(1).get_by_role("link", name="lint").focus()
    expect(build).to_have_attribute("data-side", "ahead")
    expect(waiting.nth(0)).to_have_attribute("data-side", "ahead")
    docs = shop.locator(".claim.holds").filter(has=page.get_by_role("link", name="docs"))
    expect(docs).to_have_attribute("data-side", "other")
    waiting.nth(1).locator(".behind").get_by_role("link", name="test").click()
    expect(page).to_have_url(f"{up.url}/console/tasks/{ids['test']}")


def test_hostile_paths_and_titles_are_text(held: Locks, screen: Opener) -> None:
    page = screen(held[0]).open("/locks")
    web = card(page, "web")
    expect(web.locator(".path").filter(has_text="<b>x</b>/⟨U+202E⟩gnp")).to_be_visible()
    expect(web.get_by_role("link", name=re.compile("<img src=x")).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert "owned" not in page.title()


def test_the_past_shows_the_locks_of_then_and_no_command(held: Locks, screen: Opener) -> None:
    up, ids = held
    (granted,) = up.events(task_id=ids["build"], event="granted")
    page = screen(up).open(f"/locks?at={granted['seq']}")
    shop = card(page, "shop")
    expect(shop.locator(".claim.holds")).to_have_count(1)
    expect(shop.locator(".claim.waits")).to_have_count(0)
    expect(shop.get_by_text(str(up.home.path / "shop"))).to_be_visible()
    expect(page.get_by_text("Heartbeats are not in the log")).to_be_visible()
    assert page.locator(".page .button").count() == 0
    expect(shop.get_by_role("heading").get_by_role("link")).to_have_attribute(
        "href", re.compile(f"at={granted['seq']}")
    )
    before = screen(up).open("/locks?at=1")
    expect(before.get_by_text("Nothing was held, and nothing waited")).to_be_visible()


def test_a_lock_is_released_by_keyboard_alone_with_its_token_and_a_reason(
    patient: Patient, screen: Opener
) -> None:
    up, runner = patient
    up.workspace("freed")
    claim = {"workspace": "freed", "lock_paths": ["src"]}
    os.killpg(runner.process.pid, signal.SIGSTOP)
    task = up.create(["sleep", "600"], title="hangs", pool=SECOND, **claim)
    window = screen(up, bypass_csp=True)
    page = window.open("/locks")
    freed = card(page, "freed")
    opener = freed.get_by_role("button", name="Release the lock of hangs")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Release this lock by hand?")
    expect(dialog).to_contain_text("none has taken it")
    os.killpg(runner.process.pid, signal.SIGCONT)
    expect(dialog).to_contain_text("alive")
    expect(dialog).to_contain_text("A process of attempt 1 may run on host-2")
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    token = up.holders()[task]
    expect(dialog.get_by_label("Type the token")).to_be_focused()
    page.keyboard.type(f"{token}0")
    page.keyboard.press("Tab")
    page.keyboard.type("it hangs")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text(f"The token of this lock is {token}")
    dialog.get_by_label("Type the token").fill(str(token))
    os.killpg(runner.process.pid, signal.SIGSTOP)  # a release cancels, too: its task may not end yet
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator(".message.bad")).to_contain_text("its process may still write")
    expect(page.locator(".freed")).to_contain_text("hangs was released from src")
    window.has_no_fault()
    (asked,) = up.events(task_id=task, event="lock-release-requested")
    assert asked["data"]["reason"] == "it hangs"
    assert task not in up.holders()
    os.killpg(runner.process.pid, signal.SIGCONT)
    expect(page.locator(".freed")).to_have_count(0)
    assert up.ended(task)


def test_a_lock_that_has_changed_hands_meanwhile_is_not_released(up: Up, screen: Opener) -> None:
    up.workspace("changed")
    task = up.create(["sleep", "600"], title="first", workspace="changed")
    window = screen(up)
    page = window.open("/locks/changed")
    page.get_by_role("button", name="Release the lock of first").click()
    token = up.holders()[task]
    up.post(f"/tasks/{task}/locks/release", {"reason": "another was faster"})
    dialog = page.get_by_role("dialog", name="Release this lock by hand?")
    dialog.get_by_label("Type the token").fill(str(token))
    dialog.get_by_label("Reason").fill("too late")
    window.expected.append("409")
    dialog.get_by_role("button", name="Release lock").click()
    expect(page.locator(".message.bad")).to_contain_text("no longer as you saw it")
    assert len(up.events(task_id=task, event="lock-release-requested")) == 1
    up.post(f"/tasks/{task}/cancel")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_the_release_says_which_role_it_needs(guarded: Up, screen: Opener, role: str) -> None:
    workspace = f"of-{role}"
    root = guarded.home.path / workspace
    root.mkdir()
    as_operator(guarded, "PUT", f"/workspaces/{workspace}", {"root": str(root)})
    spec = {"command": ["sleep", "600"], "title": "guarded", "workspace": workspace, "pool": "none"}
    as_operator(guarded, "POST", "/tasks?dispatch=true", spec)
    window = screen(guarded)
    window.expected.append("401")
    page = window.open(f"/locks/{workspace}")
    window.log_in(role)
    button = page.get_by_role("button", name="Release the lock of guarded")
    if role == "operator":
        expect(button).to_be_enabled()
    else:
        expect(button).to_be_disabled()
        expect(button).to_have_accessible_description("needs operator")
    assert TOKENS[role] not in page.content()


def test_an_empty_page_says_what_to_type(screen: Opener, up: Up) -> None:
    page = screen(up).page
    empty = '{"items":[],"next_cursor":null}'
    for route in ("locks?*", "workspaces?*"):
        page.route(f"{up.url}/{route}", lambda one: one.fulfill(body=empty, content_type="application/json"))
    page.goto(f"{up.url}/console/locks")
    expect(page.get_by_text("towpath workspaces add shop")).to_be_visible()


def test_while_the_api_cannot_answer_the_page_says_so_and_tries_again(up: Up, screen: Opener) -> None:
    window = screen(up)
    window.expected.append("503")
    page = window.page
    busy = '{"status":503,"code":"busy","title":"busy","detail":"the log cannot be read"}'
    page.route(
        f"{up.url}/locks?*",
        lambda one: one.fulfill(status=503, body=busy, content_type="application/problem+json"),
    )
    page.goto(f"{up.url}/console/locks")
    expect(page.get_by_role("alert")).to_contain_text("cannot answer at the moment")
    page.unroute(f"{up.url}/locks?*")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_workspace_in_which_nothing_is_held_says_so(held: Locks, screen: Opener) -> None:
    up, _ = held
    up.workspace("idle")
    page = screen(up).open("/locks/idle")
    expect(page.locator(".lock-card")).to_contain_text("Nothing is held here, and nothing waits.")
