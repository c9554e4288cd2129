"""Journey: a runner is killed while it holds a lock; a person frees the lock and forgets the runner."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.conftest import running
from tests.pages.console.conftest import Opener
from tests.pages.console.installations import LEASE, SECOND, second_runner
from tests.support.towpath import Server, Up

pytestmark = pytest.mark.pages

Fleet = tuple[Up, Server]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Its own runner alive, and `host-2` killed while its task holds a lock that is kept for an operator."""
    with running(tmp_path_factory.mktemp("fleet"), **LEASE) as up:
        root = up.home.path / "kept"
        root.mkdir()
        kept = {"root": str(root), "on_runner_lost": "hold"}
        httpx.put(f"{up.url}/workspaces/kept", json=kept, timeout=30).raise_for_status()
        runner = second_runner(up, **LEASE)
        up.create(["sleep", "600"], title="build", workspace="kept", lock_paths=["src"], pool=SECOND)
        up.create(["sleep", "600"], title="<b>bold</b>")
        yield up, runner


def row(page: Page, name: str) -> Locator:
    return page.locator("tbody").filter(has=page.get_by_role("rowheader", name=name))


def test_a_runner_is_lost_its_lock_freed_and_it_is_forgotten(fleet: Fleet, screen: Opener) -> None:
    up, runner = fleet
    (task,) = up.get("/tasks", workspace="kept")["items"]
    window = screen(up)
    page = window.open("/runners")
    host = row(page, "host-2")
    expect(host).to_contain_text("alive")
    expect(host).to_contain_text("lease")
    expect(host.get_by_role("link", name="build")).to_be_visible()
    expect(host).to_contain_text("1 of")
    expect(page.locator(".held").get_by_role("link", name="<b>bold</b>")).to_be_visible()
    runner.kill()
    expect(host.locator("[data-runner-state=lost]")).to_be_visible()
    expect(host).to_contain_text("Locks wait for an operator")
    expect(host).to_contain_text("after that, the runner can be forgotten")
    expect(host.get_by_role("button")).to_have_count(0)

    window.open("/locks/kept")
    page.get_by_role("button", name="Release the lock of build").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[data-runner-state=lost]")).to_be_visible()
    expect(dialog).to_contain_text("See on its host")
    dialog.get_by_label("Type the token").fill(str(up.holders()[task["id"]]))
    dialog.get_by_label("Reason").fill("its host is gone")
    dialog.get_by_role("button", name="Release lock").click()
    expect(page.get_by_text("0 held")).not_to_have_count(0)
    window.open(f"/tasks/{task['id']}")
    expect(page.locator(".page-head [data-state=failed]")).to_be_visible()

    window.open("/runners")
    forget = host.get_by_role("button", name="Forget host-2")
    forget.focus()
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Forget host-2?")
    expect(question).to_contain_text("it is shown again")
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(forget).to_be_focused()
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Forget runner").click()
    expect(host).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
