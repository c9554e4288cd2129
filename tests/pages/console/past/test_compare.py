"""The past beside the present, and what has been: marks on tasks and locks, and the lanes of history."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import running
from tests.pages.console.conftest import Opener, every_view
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import until

pytestmark = pytest.mark.pages


@dataclass
class Story:
    """`build` held src, `test` and `lint` waited; then build was canceled, test got the lock, docs began."""

    up: Up
    ids: dict[str, str]
    then: int


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with running(tmp_path_factory.mktemp("compare")) as up:
        up.workspace("shop")
        claim: dict[str, Any] = {"workspace": "shop", "lock_paths": ["src"]}
        ids = {
            title: up.create(["sleep", "600"], title=title, **claim) for title in ("build", "test", "lint")
        }
        until(lambda: up.task(ids["build"])["status"] == "running", DEADLINE)
        then = up.events()[-1]["seq"]
        up.post(f"/tasks/{ids['build']}/cancel")
        until(lambda: up.task(ids["test"])["status"] == "running", DEADLINE)
        ids["docs"] = up.create(["sleep", "600"], title="docs", workspace="shop", lock_paths=["docs"])
        until(lambda: up.task(ids["docs"])["status"] == "running", DEADLINE)
        yield Story(up, ids, then)


@every_view
@pytest.mark.parametrize(
    "path",
    ["/locks?{}", "/locks/shop?view=list&{}", "/locks/shop?view=history&{}", "/tasks?{}", "/tasks/ID?{}"],
)
def test_no_page_that_compares_is_at_fault(
    story: Story, screen: Opener, path: str, width: int, height: int, scheme: str
) -> None:
    window = screen(story.up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    moment = f"at={story.then}&compare=now"
    page = window.open(path.replace("ID", story.ids["build"]).format(moment))
    page.locator(".now-tag, .since").first.wait_for()
    page.locator("main .loaded").first.wait_for()
    window.has_no_fault()


def compare(page: Page, story: Story, path: str) -> None:
    """Look at `path` as of then, and compare it by the box in the banner."""
    page.goto(f"{story.up.url}/console{path}?at={story.then}")
    page.get_by_label("Compare with now").check()
    expect(page).to_have_url(re.compile("compare=now"))


def test_locks_tell_what_is_gone_granted_moved_and_new(story: Story, screen: Opener) -> None:
    page = screen(story.up).page
    compare(page, story, "/locks")
    since = page.get_by_role("region", name="shop").locator(".since li")
    expect(since).to_have_count(4)
    for title, words in {
        "build": "gone now",
        "test": "holds now",
        "lint": "place 1 now",
        "docs": "holds since then",
    }.items():
        expect(since.filter(has=page.get_by_role("link", name=title))).to_contain_text(words)
    held = page.locator(".claim.holds").filter(has=page.get_by_role("link", name="build"))
    expect(held).to_contain_text("gone now")
    expect(held.locator(".now-tag svg")).to_be_visible()
    page.get_by_role("region", name="shop").get_by_role("link", name="shop").click()
    expect(page).to_have_url(re.compile(f"at={story.then}&compare=now"))
    page.get_by_role("button", name="Return to live").click()
    expect(page).to_have_url(f"{story.up.url}/console/locks/shop")
    expect(page.locator(".now-tag")).to_have_count(0)


def test_tasks_tell_their_state_now_and_a_task_each_fact(story: Story, screen: Opener) -> None:
    page = screen(story.up).page
    compare(page, story, "/tasks")
    row = page.locator("tbody tr").filter(has=page.get_by_role("link", name="build"))
    expect(row.locator(".cell-status [data-state=running]")).to_be_visible()
    expect(row.locator(".now-tag [data-state=canceled]")).to_be_visible()
    expect(page.locator("tbody tr").filter(has=page.get_by_role("link", name="docs"))).to_have_count(0)
    row.get_by_role("link", name="build").click()
    facts = page.get_by_role("region", name="Compared with now").locator("tbody tr")
    expect(facts.filter(has_text="Status")).to_contain_text(re.compile(r"running\s*canceled"))
    expect(facts.filter(has_text="Lock")).to_contain_text("released")


def test_history_has_a_lane_for_each_path_and_leads_to_the_moments(story: Story, screen: Opener) -> None:
    page = screen(story.up).open("/locks/shop")
    page.get_by_role("navigation", name="View").get_by_role("link", name="history").click()
    expect(page).to_have_url(f"{story.up.url}/console/locks/shop?view=history")
    expect(page.locator(".lane")).to_have_count(2)
    src = page.locator(".lane").filter(has_text="src")
    expect(src.locator(".bar-holds")).to_have_count(2)
    rows = page.locator(".history-table tbody tr")
    build = rows.filter(has=page.get_by_role("link", name="build"))
    (granted,) = story.up.events(task_id=story.ids["build"], event="granted")
    expect(build).to_contain_text(str(granted["seq"]))
    expect(build).to_contain_text("released: canceled")
    expect(rows.filter(has=page.get_by_role("link", name="lint"))).to_contain_text("waits")
    src.locator(".bar-of").filter(has_text="build").locator(".bar-holds").click()
    expect(page).to_have_url(re.compile(f"at={granted['seq']}"))
    expect(build).to_contain_text("holds")
    expect(page.locator(".lane")).to_have_count(1)


def test_a_holder_has_a_ring_of_its_lease_with_the_time_in_words(story: Story, screen: Opener) -> None:
    page = screen(story.up).open("/locks")
    held = page.locator(".claim.holds").filter(has=page.get_by_role("link", name="test"))
    expect(held.locator("svg.ring")).to_be_visible()
    expect(held).to_contain_text(re.compile(r"lease \d"))
    page.goto(f"{story.up.url}/console/locks?at={story.then}")
    expect(page.locator(".claim.holds").first).to_be_visible()
    expect(page.locator("svg.ring")).to_have_count(0)
