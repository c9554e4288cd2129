"""The start page: what needs a person, each with the way to it, and figures that lead to what they count."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import running
from tests.pages.console.conftest import HOSTILE, Opener, every_view, until
from tests.support.towpath import Up

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module")
def tasks(up: Up) -> dict[str, str]:
    """Ids: one that holds a lock, one that waits for it, and a failed one."""
    up.workspace("shop")
    claim = {"workspace": "shop", "lock_paths": ["src"]}
    return {
        "build": up.create(["sleep", "600"], title="build", **claim),
        "test": up.create(["true"], title=HOSTILE, **claim),
        "failed": up.create(["false"], title="lint"),
    }


@every_view
@pytest.mark.parametrize("which", ["live", "past"])
def test_no_view_is_at_fault_for_a_screen_reader_or_a_narrow_window(
    up: Up, tasks: dict[str, str], screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    if which == "live":
        page = window.open("/")
        page.locator(".need").first.wait_for()
        page.locator(".contended li").wait_for()
    else:
        page = window.open(f"/?at={up.events(task_id=tasks['test'])[-1]['seq']}")
        page.get_by_role("heading", name="Not known of the past").wait_for()
    window.has_no_fault()


def test_the_start_page_tells_what_needs_a_person_and_leads_there(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    until(screen(up).page, lambda: up.ended(tasks["failed"]) is not None)
    page = screen(up).open("/")
    needs = page.get_by_role("region", name=re.compile("^Needs you"))
    expect(needs).to_contain_text(re.compile("1 failure in the last hour, on .*: lint"))
    needs.get_by_role("link", name="Show").click()
    expect(page).to_have_url(re.compile(r"/console/tasks\?status=failed&ended="))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("lint")


def test_figures_lead_to_the_list_that_they_count(up: Up, tasks: dict[str, str], screen: Opener) -> None:
    page = screen(up).open("/")
    strip = page.get_by_role("list", name="Tasks by state")
    waits = strip.get_by_role("link", name=re.compile("wait for a lock"))
    expect(waits).to_have_text(re.compile("^1"))
    waits.click()
    expect(page).to_have_url(re.compile(r"/console/tasks\?lock=waiting$"))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    contention = page.get_by_role("region", name="Contention")
    expect(contention.locator("li")).to_contain_text("1 held · 1 waiting")
    contention.get_by_role("link", name="shop").click()
    expect(page).to_have_url(re.compile(r"/console/locks/shop$"))


def test_the_start_page_names_what_runs_and_who_waits_for_whom(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    page = screen(up).open("/")
    runs = page.get_by_role("region", name="Running")
    expect(runs.locator("li")).to_have_count(1)
    expect(runs.locator("li")).to_contain_text(
        re.compile(r"^build holds shop:src\d+s|^build holds shop:src\dm")
    )
    line = page.get_by_role("region", name="Contention").locator(".wait-line")
    expect(line).to_have_text(re.compile(r"^<img src=x.* waits for src behind build$", re.DOTALL))
    line.get_by_role("link", name="build").click()
    expect(page).to_have_url(re.compile(rf"/console/tasks/{tasks['build']}$"))


def test_events_and_runners_are_told_in_words_and_follow_the_log(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    page = screen(up).open("/")
    expect(
        page.get_by_role("img", name=re.compile(r"^(\d+ events? in|No events in) the last hour"))
    ).to_be_visible()
    expect(page.get_by_role("region", name="Runners").locator("[data-runner-state=alive]")).to_be_visible()
    created = page.get_by_role("link", name=re.compile("not dispatched")).locator("b")
    expect(created).to_have_text("0")
    up.create(["true"], title="later", dispatch=False)
    expect(created).to_have_text("1")


def test_the_past_shows_locks_and_names_what_is_not_known(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    waits = next(one for one in up.events(task_id=tasks["test"]) if one["event"] == "dispatched")
    page = screen(up).open(f"/?at={waits['seq']}")
    locks = page.get_by_role("region", name="Locks")
    expect(locks).to_contain_text("1 held · 1 waiting")
    expect(locks.locator(".wait-line")).to_have_text(re.compile(r"waits for src behind build$"))
    expect(page.get_by_role("region", name="Not known of the past")).to_contain_text("heartbeats")
    page.get_by_role("region", name="Locks").get_by_role("link", name="shop").click()
    expect(page).to_have_url(re.compile(rf"/console/locks/shop\?at={waits['seq']}$"))


def test_the_past_names_what_ran_then(up: Up, tasks: dict[str, str], screen: Opener) -> None:
    ran = next(one for one in up.events(task_id=tasks["build"]) if one["event"] == "running")
    waited = next(one for one in up.events(task_id=tasks["test"]) if one["event"] == "dispatched")
    page = screen(up).open(f"/?at={max(ran['seq'], waited['seq'])}")
    runs = page.get_by_role("region", name="Running")
    expect(runs.locator("li").filter(has_text="build")).to_contain_text("build holds shop:src")
    screen(up).open("/?at=1").get_by_text("No task runs.").wait_for()


def test_a_new_installation_needs_nobody(tmp_path: Path, screen: Opener) -> None:
    with running(tmp_path) as up:
        page = screen(up).open("/")
        expect(page.get_by_role("region", name=re.compile("^Needs you"))).to_contain_text("Nothing:")
        expect(page.get_by_role("region", name="Contention")).to_contain_text("No task waits for another")


def test_what_a_newcomer_is_told_to_type_works_and_is_the_same_on_every_page(
    tmp_path: Path, screen: Opener
) -> None:
    with running(tmp_path) as up:
        page = screen(up).open("/")
        *add, run, _ = page.locator(".begin pre").last.inner_text().split("\n")
        for path in ("/tasks", "/locks", "/workspaces"):
            page.goto(f"{up.url}/console{path}")
            expect(page.locator(".empty pre").last).to_contain_text("\n".join(add))
        typed = "\n".join([*add, run.replace("sleep 60 &", "true")])
        done = up.home.program("sh", "-ec", typed, TOWPATH_URL=up.url)
        assert done.returncode == 0, done.stderr
