"""The list of tasks: search with suggestions, saved views, orders, and rows that are drawn in sight only."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.pages.console.conftest import HOSTILE, Opener, every_view
from tests.pages.console.looks import press, settle
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import until

pytestmark = pytest.mark.pages

MANY = 700
MOST_NODES = 3000


@pytest.fixture(scope="module")
def many(up: Up) -> None:
    """Tasks that were never dispatched, and some that have failed."""
    up.workspace("shop")
    up.create(["false"], title="failed one", labels={"team": "web shop"}, workspace="shop")
    up.create(["true"], title=HOSTILE, labels={"of": "hostile"}, dispatch=False)
    up.create(["true"], title="x" * 500, labels={"of": "hostile"}, dispatch=False)

    with httpx.Client(base_url=up.url, timeout=DEADLINE) as http:

        def create(number: int) -> None:
            body = {"command": ["true"], "title": f"task {number}", "labels": {"of": "many"}}
            assert http.post("/tasks", json=body).is_success

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(create, range(MANY)))


def rows(page: Page) -> Locator:
    return page.locator("tbody tr.row")


def nodes(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


def scrolled_to(page: Page, index: int) -> Locator:
    """The row at `index`, brought into sight with the wheel."""
    page.mouse.move(700, 500)
    wanted = page.locator(f"tr[data-index='{index}']")
    for _ in range(40):
        if wanted.count():
            break
        page.mouse.wheel(0, 1000)
        settle(page)
    return wanted


@every_view
@pytest.mark.parametrize("which", ["suggestions", "chosen", "views", "sorted"])
def test_no_part_of_the_list_is_at_fault(
    up: Up, many: None, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open("/tasks?sort=title" if which == "sorted" else "/tasks?label=of:hostile")
    expect(rows(page).first).to_be_visible()
    if which == "suggestions":
        page.get_by_label("Search tasks").fill("status:")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("option")).to_have_count(8)
    elif which == "chosen":
        page.locator("tbody .cell-pick label").first.click()
        expect(page.get_by_role("region", name="Chosen tasks")).to_contain_text("1 selected")
    elif which == "views":
        page.locator(".saved-views summary").click()
        page.get_by_label("Save this search as").fill("mine")
        page.keyboard.press("Enter")
        page.locator(".saved-views summary").click()
        expect(page.get_by_role("link", name="mine")).to_be_visible()
    window.has_no_fault()


def test_a_search_is_completed_by_keyboard(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks")
    expect(rows(page).first).to_be_visible()
    press(page, "/")
    field = page.get_by_role("combobox", name="Search tasks")
    page.keyboard.type("wor")
    expect(page.get_by_role("option")).to_have_text(re.compile("^workspace:"))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option", selected=True)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(field).to_have_value("workspace:")
    page.keyboard.type("s")
    expect(page.get_by_role("option", name="workspace:shop")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("workspace:shop ")
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    page.keyboard.type("created:<1h")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?workspace=shop&created=%3C1h$"))
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("failed one")


def test_a_suggestion_is_taken_with_the_mouse(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?workspace=shop")  # labels are suggested once they were seen
    expect(rows(page).first).to_be_visible()
    field = page.get_by_label("Search tasks")
    field.fill("label:team")
    page.get_by_role("option", name='label:"team:web shop"').click()
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(1)


def test_what_the_api_does_not_understand_is_told(up: Up, screen: Opener) -> None:
    window = screen(up)
    window.expected.append("422")
    page = window.open("/tasks?created=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("does not understand this search")


def test_a_relative_time_is_reckoned_from_the_moment_that_is_shown(
    up: Up, many: None, screen: Opener
) -> None:
    created = up.events(event="created")[0]
    page = screen(up).page
    with page.expect_request(re.compile(r"/tasks\?.*created_after")) as asked:
        page.goto(f"{up.url}/console/tasks?created=<2h&at={created['seq']}")
    expect(rows(page)).to_have_count(1)
    (after,) = parse_qs(urlsplit(asked.value.url).query)["created_after"]
    then = datetime.fromisoformat(created["time"])
    assert abs(then - timedelta(hours=2) - datetime.fromisoformat(after)) < timedelta(milliseconds=2)


def test_times_are_reckoned_by_the_clock_of_the_api(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).page
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=5))
    page.goto(f"{up.url}/console/tasks?label=of:hostile&created=<1h")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first.locator(".cell-created")).not_to_contain_text("h ago")


def test_a_search_is_saved_under_a_name_and_removed(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?status=failed&workspace=shop")
    expect(rows(page)).to_have_count(1)
    page.locator(".saved-views summary").click()
    page.get_by_label("Save this search as").fill("<b>broken</b>")
    page.get_by_role("button", name="Save").click()
    page.goto(f"{up.url}/console/tasks")
    expect(rows(page).nth(5)).to_be_visible()
    page.locator(".saved-views summary").click()
    page.get_by_role("link", name="<b>broken</b>").click()
    expect(page).to_have_url(re.compile(r"\?workspace=shop&status=failed$"))
    expect(rows(page)).to_have_count(1)
    page.locator(".saved-views summary").click()
    page.get_by_role("button", name="Remove view <b>broken</b>").click()
    page.reload()
    page.locator(".saved-views summary").click()
    expect(page.locator(".saved-views li")).to_have_count(0)


def test_only_rows_in_sight_are_in_the_document_and_all_can_be_reached(
    up: Up, many: None, screen: Opener
) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(page.get_by_role("status").filter(has_text=f"50 of {MANY}")).to_be_visible()
    expect(page.get_by_role("table")).to_have_attribute("aria-rowcount", str(MANY + 1))
    last = page.locator(f"tr[aria-rowindex='{MANY + 1}']")
    page.mouse.move(700, 500)
    for _ in range(60):
        if last.count():
            break
        page.mouse.wheel(0, 3000)
        settle(page)
    expect(last).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=f"{MANY} of {MANY}")).to_be_visible()
    assert rows(page).count() < 100
    assert nodes(page) < MOST_NODES
    indexes = [int(str(one.get_attribute("aria-rowindex"))) for one in rows(page).all()]
    assert indexes == list(range(indexes[0], indexes[0] + len(indexes)))


def test_rows_are_gone_through_and_chosen_by_keyboard(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(rows(page).first).to_be_visible()
    press(page, *"j" * 45)
    focused = page.locator("tr:has(a.row-link:focus)")
    expect(focused).to_have_attribute("data-index", "44")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("x")
    expect(page.get_by_role("region", name="Chosen tasks")).to_contain_text("1 selected")
    page.keyboard.press("k")
    expect(focused).to_have_attribute("data-index", "43")


def test_other_orders_are_of_what_is_loaded_and_say_so(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(rows(page).first).to_be_visible()
    page.get_by_role("link", name="Task", exact=True).click()
    expect(page.locator(".sort-note")).to_contain_text("only the 50 tasks that are loaded")
    titles = rows(page).locator(".row-link").all_inner_texts()
    assert titles == sorted(titles)
    page.get_by_role("link", name="Newest first").click()
    expect(page.locator(".sort-note")).to_have_count(0)
    page.locator("th.cell-created").get_by_role("link").click()
    expect(page).to_have_url(re.compile("order=oldest"))
    first = up.get("/tasks", label="of:many", order="oldest", limit=1)["items"][0]
    expect(rows(page).first).to_contain_text(first["title"])


def test_the_way_back_leads_to_where_the_list_was_left(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(rows(page).first).to_be_visible()
    task = str(scrolled_to(page, 90).get_attribute("data-id"))
    row = page.locator(f"tr[data-id='{task}']")
    row.scroll_into_view_if_needed()
    row.locator("a.row-link").click()
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    expect(page).to_have_url(re.compile(task))
    page.go_back()
    expect(row).to_be_in_viewport()
    page.mouse.wheel(0, -100_000)
    expect(rows(page).first).to_have_attribute("data-index", "0")


def test_a_row_far_below_changes_in_its_place(up: Up, many: None, screen: Opener) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(rows(page).first).to_be_visible()
    wanted = scrolled_to(page, 120)
    task = str(wanted.get_attribute("data-id"))
    up.post(f"/tasks/{task}/dispatch")
    expect(page.locator(f"tr[data-id='{task}'] [data-state=succeeded]")).to_have_count(1)
    expect(wanted).to_have_attribute("data-id", task)


def test_a_row_that_changed_out_of_sight_is_as_it_is_now_once_it_is_seen(
    up: Up, many: None, screen: Opener
) -> None:
    page = screen(up).open("/tasks?label=of:many")
    expect(rows(page).first).to_be_visible()
    task = str(scrolled_to(page, 130).get_attribute("data-id"))
    page.mouse.wheel(0, -100_000)
    expect(rows(page).first).to_have_attribute("data-index", "0")
    done = up.get("/tasks/count", label="of:many")["by_status"].get("succeeded", 0) + 1
    up.post(f"/tasks/{task}/dispatch")
    # the page has heard of it, and has not asked for it
    expect(page.get_by_role("link", name=f"Succeeded {done}")).to_be_visible()
    scrolled_to(page, 130)
    expect(page.locator(f"tr[data-id='{task}'] [data-state=succeeded]")).to_have_count(1)


@pytest.fixture(scope="module")
def named(up: Up) -> int:
    """A task that waits for its lock, and its holder, with labels of their own; the last event about them."""
    up.workspace("narrow")
    for command in ("sleep 600", "true"):
        title = "nightly tests of the web" if command == "true" else "in the way"
        up.create(command.split(), title=title, labels={"of": "width"}, workspace="narrow")
        until(lambda: up.holders(), DEADLINE)
    until(lambda: up.get("/tasks/count", label="of:width", lock="waiting")["count"] == 1, DEADLINE)
    return int(up.events()[-1]["seq"])


@pytest.mark.parametrize("width", [1024, 1280, 1440, 1920])
@pytest.mark.parametrize("moment", ["live", "past"])
def test_a_title_of_24_characters_is_whole(
    up: Up, named: int, screen: Opener, moment: str, width: int
) -> None:
    at = f"&at={named}" if moment == "past" else ""
    page = screen(up, width=width).open(f"/tasks?label=of:width{at}")
    link = rows(page).locator(".row-link").first
    expect(link).to_have_text("nightly tests of the web")
    expect(rows(page).first).to_contain_text("waiting for lock")
    assert link.evaluate("one => one.scrollWidth <= one.clientWidth")
    for cell in rows(page).first.locator("td:not(.cell-title, .cell-place)").all():
        assert cell.evaluate("one => one.scrollWidth <= one.clientWidth"), cell.inner_text()


def test_a_tab_counts_what_it_would_find(up: Up, named: int, screen: Opener) -> None:
    page = screen(up).open("/tasks?label=of:width&lock=waiting")
    tabs = page.get_by_role("navigation", name="By status")
    expect(tabs.get_by_role("link", name="Running")).to_have_text("Running1")
    expect(tabs.get_by_role("link", name="Waiting for lock")).to_have_text("Waiting for lock1")
    expect(page.locator(".page-head [role=status]")).to_have_text("1 of 1")
