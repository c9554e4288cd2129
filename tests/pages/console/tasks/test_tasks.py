"""The list of tasks and the page of one: what they show of real tasks, hostile ones included."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.pages.console.conftest import HOSTILE, Opener, every_view
from tests.pages.console.looks import press
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

OUTPUT = r"""printf '\033[31mFAILED\033[0m <b>test</b>\n\342\200\256gnp.exe\007\n'; exit 3"""
LONG = "never dispatched " + "x" * 480


@pytest.fixture(scope="module")
def tasks(up: Up) -> dict[str, str]:
    """Ids: one that holds a lock, one that waits for it, a failed one with output, one never dispatched."""
    up.workspace("shop")
    claim = {"workspace": "shop", "lock_paths": ["src"]}
    return {
        "build": up.create(["sleep", "600"], title="build", labels={"team": "web"}, **claim),
        "test": up.create(["true"], title="test", **claim),
        "failed": up.create(["sh", "-c", OUTPUT], title=HOSTILE, labels={"<b>x</b>": HOSTILE}),
        "idle": up.create(["true"], title=LONG, dispatch=False),
    }


def settled(page: Page) -> None:
    """The list shows each task in the state that it comes to."""
    for state in ("running", "waiting", "failed", "created"):
        expect(page.locator(f"tbody [data-state={state}]")).to_have_count(1)


@every_view
@pytest.mark.parametrize("which", ["list", "failed", "test", "nothing", "past", "then", "nowhere"])
def test_no_page_is_at_fault_for_a_screen_reader_or_a_narrow_window(
    up: Up, tasks: dict[str, str], screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open("/tasks")
    settled(page)
    if which == "nothing":
        window.open("/tasks?workspace=no-such-place")
        page.get_by_text("No task fits this search").wait_for()
    elif which == "nowhere":
        window.expected.append("404")
        window.open("/tasks/01990000-0000-7000-8000-000000000000")
        page.get_by_role("alert").get_by_role("link", name="All tasks").wait_for()
    elif which == "past":
        window.open(f"/tasks/{tasks['failed']}?at={up.task(tasks['failed'])['seq']}")
        page.locator(".facts").wait_for()
    elif which == "then":
        window.open(f"/tasks?at={up.events()[-1]['seq']}")
        expect(page.locator("tbody tr")).to_have_count(4)
    elif which != "list":
        window.open(f"/tasks/{tasks[which]}")
        page.locator(".trail li").first.wait_for()
    window.has_no_fault()


def test_the_list_shows_each_task_with_its_shape_and_its_word(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    page = screen(up).open("/tasks")
    settled(page)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(4)
    waiting = rows.filter(has=page.locator("[data-state=waiting]"))
    expect(waiting).to_contain_text("waiting for lock")
    expect(waiting).to_contain_text("shop:src")
    expect(rows.filter(has=page.locator("[data-state=failed]"))).to_contain_text("exit 3")
    expect(page.get_by_role("status").filter(has_text="4 of 4")).to_be_visible()


def test_hostile_titles_labels_and_output_are_text(up: Up, tasks: dict[str, str], screen: Opener) -> None:
    page = screen(up).open("/tasks")
    settled(page)
    page.get_by_role("link", name=re.compile("<img src=x")).click()
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("<img src=x onerror=\"document.title='owned'\">")
    expect(heading).to_contain_text("⟨U+202E⟩gnp.exe ␛[31mred")
    output = page.locator(".output pre")
    expect(output).to_have_text("FAILED <b>test</b>\n⟨U+202E⟩gnp.exe␇\n")
    expect(output.locator(".ansi-1")).to_have_text("FAILED")
    expect(page.locator(".label")).to_contain_text("<b>x</b>")
    assert page.locator("main img").count() == 0
    assert "owned" not in page.title()[:5]


def test_the_reason_why_a_task_waits_leads_to_the_one_it_waits_for(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    page = screen(up).open(f"/tasks/{tasks['test']}")
    expect(page.locator(".why")).to_contain_text("waits for src in shop")
    page.locator(".why").get_by_role("link", name="build").click()
    expect(page).to_have_url(f"{up.url}/console/tasks/{tasks['build']}")
    expect(page.locator(".why")).to_contain_text("has been running")
    expect(page).to_have_title(re.compile("^build · "))


def test_searching_filters_and_the_address_is_the_state(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    window = screen(up)
    page = window.open("/tasks")
    settled(page)
    press(page, "/")
    page.keyboard.type("status:running label:team:web")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{up.url}/console/tasks?status=running&label=team:web")
    expect(page.locator("tbody tr")).to_have_count(1)
    other = screen(up).open("/tasks?status=running&label=team:web")
    expect(other.locator("tbody tr")).to_have_count(1)
    expect(other.get_by_label("Search tasks")).to_have_value("status:running label:team:web")
    page.get_by_role("list", name="Filters").get_by_role("link", name="without status running").click()
    expect(page).to_have_url(f"{up.url}/console/tasks?label=team:web")
    page.go_back()
    expect(page).to_have_url(f"{up.url}/console/tasks?status=running&label=team:web")
    page.get_by_label("Search tasks").fill(tasks["idle"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("never dispatched")


def test_the_past_is_framed_named_and_holds_no_command(up: Up, tasks: dict[str, str], screen: Opener) -> None:
    window = screen(up)
    page = window.open(f"/tasks/{tasks['failed']}")
    page.locator(".trail .then").first.click()
    created = up.events(task_id=tasks["failed"], event="created")[0]["seq"]
    expect(page).to_have_url(f"{up.url}/console/tasks/{tasks['failed']}?at={created}")
    expect(page.locator(".past-banner")).to_be_visible()
    expect(page.locator(".page-head [data-state=created]")).to_be_visible()
    expect(page.locator(".trail li")).to_have_count(1)
    expect(page).to_have_title(re.compile(f"^as of {created} · "))
    assert page.locator("article .button").count() == 0
    for link in page.locator(".rail a").all():
        assert f"at={created}" in str(link.get_attribute("href"))
    page.get_by_role("button", name="Return to live").click()
    expect(page.locator(".page-head [data-state=failed]")).to_be_visible()
    expect(page.get_by_role("button", name="Run again")).to_be_enabled()


def test_the_list_of_the_past_has_the_tasks_of_then_in_their_states(
    up: Up, tasks: dict[str, str], screen: Opener
) -> None:
    page = screen(up).open("/tasks")
    settled(page)
    (waits,) = up.events(task_id=tasks["test"], event="dispatched")
    page = screen(up).open(f"/tasks?at={waits['seq']}")
    row = page.locator("tbody tr").filter(has=page.get_by_role("link", name="test", exact=True))
    expect(row.locator("[data-state=waiting]")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    row.get_by_role("link").click()
    expect(page).to_have_url(f"{up.url}/console/tasks/{tasks['test']}?at={waits['seq']}")
    expect(page.locator(".why")).to_contain_text("waits for src in shop")
    page = screen(up).open("/tasks?at=1")
    expect(page.get_by_text("There was no task")).to_be_visible()
