"""The time machine: any page as of any event, by keyboard and by pointer, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.pages.conftest import running
from tests.pages.console.conftest import Opener, as_operator, every_view
from tests.pages.console.looks import press
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import until

pytestmark = pytest.mark.pages


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, dict[str, str]]]:
    """A log with a failure, a refused lock, a lock released by hand and one handed over; ids by title."""
    with running(tmp_path_factory.mktemp("machine")) as up:
        up.workspace("shop")
        claim: dict[str, Any] = {"workspace": "shop", "lock_paths": ["src"]}
        ids = {"fails": up.create(["sh", "-c", "exit 3"], title="fails", **claim)}
        until(lambda: up.ended(ids["fails"]), DEADLINE)
        ids["build"] = up.create(["sleep", "600"], title="build", **claim)
        ids["test"] = up.create(["sleep", "600"], title="test", **claim)
        refused = {"command": ["true"], "title": "refused", "on_conflict": "reject", **claim}
        assert httpx.post(f"{up.url}/tasks?dispatch=true", json=refused, timeout=30).status_code == 409
        until(lambda: up.task(ids["build"])["status"] == "running", DEADLINE)
        up.post(f"/tasks/{ids['build']}/locks/release", {"reason": "tried"})
        until(lambda: up.task(ids["test"])["status"] == "running", DEADLINE)
        yield up, ids


def machine(page: Page) -> Page:
    """The page with the time machine opened by its key."""
    page.get_by_role("heading", level=1).wait_for()
    press(page, "t")
    expect(page.get_by_role("slider", name="Moment")).to_be_focused()
    return page


def at(page: Page) -> int | None:
    found = re.search(r"[?&]at=(\d+)", page.url)
    return int(found.group(1)) if found else None


@every_view
def test_the_open_machine_is_not_at_fault_for_a_screen_reader_or_a_narrow_window(
    log: tuple[Up, dict[str, str]], screen: Opener, width: int, height: int, scheme: str
) -> None:
    up, _ = log
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    page = window.open("/locks")
    page.get_by_role("button", name=re.compile("^live")).click()
    page.get_by_role("slider", name="Moment").wait_for()
    window.has_no_fault()
    page.get_by_role("button", name="One event back").click()
    page.get_by_role("button", name="More", exact=True).click()  # the window is narrow by now
    page.get_by_role("button", name="Look closer").click()
    page.locator(".legend").get_by_text("released by hand").wait_for()
    window.has_no_fault()


def test_by_keyboard_alone_into_the_past_along_it_and_back(
    log: tuple[Up, dict[str, str]], screen: Opener
) -> None:
    up, _ = log
    last = up.events()[-1]["seq"]
    page = screen(up).open("/locks")
    page.locator(".claim.holds").first.wait_for()
    machine(page)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(f"{up.url}/console/locks?at={last - 1}")
    expect(page.locator(".past-banner")).to_contain_text(f"As of {last - 1}")
    expect(page.locator(".past-banner")).to_contain_text("1 event ago")
    expect(page).to_have_title(f"as of {last - 1} · Locks · Towpath")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{up.url}/console/locks?at={last}")
    page.keyboard.press("Home")
    expect(page).to_have_url(f"{up.url}/console/locks?at=1")
    expect(page.get_by_text("Nothing was held, and nothing waited")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(f"{up.url}/console/locks")
    expect(page.get_by_role("button", name="Release the lock of test")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Time machine")).to_have_count(0)


def test_shift_and_an_arrow_go_to_the_next_event_of_what_is_shown(
    log: tuple[Up, dict[str, str]], screen: Opener
) -> None:
    up, ids = log
    trail = [event["seq"] for event in up.get(f"/tasks/{ids['build']}/events")["items"]]
    page = screen(up).open(f"/tasks/{ids['build']}?at={trail[1]}")
    machine(page)
    for seq in trail[2:5]:
        page.keyboard.press("Shift+ArrowRight")
        expect(page).to_have_url(re.compile(f"at={seq}$"))
    page.keyboard.press("Shift+ArrowLeft")
    expect(page).to_have_url(re.compile(f"at={trail[3]}$"))
    page.get_by_role("slider").blur()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page).to_have_url(re.compile(f"at={trail[2]}$"))
    granted = up.events(task_id=ids["test"], event="granted")[0]["seq"]
    page.goto(f"{up.url}/console/locks/shop?at={granted - 1}")
    machine(page)
    page.get_by_role("button", name="Next event of this workspace").click()
    expect(page).to_have_url(re.compile(f"at={granted}$"))


def test_while_dragging_only_the_number_moves_and_the_page_follows_when_it_is_let_go(
    log: tuple[Up, dict[str, str]], screen: Opener
) -> None:
    up, _ = log
    page = screen(up).open("/locks")
    page.locator(".claim.holds").first.wait_for()
    slider = machine(page).get_by_role("slider")
    box = slider.bounding_box()
    assert box is not None
    asked: list[str] = []

    def note(request: Request) -> None:
        if re.search(r"/locks\?.*at=", request.url):
            asked.append(request.url)

    page.on("request", note)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    for part in range(9, 4, -1):
        page.mouse.move(box["x"] + box["width"] * part / 10, y)
    shown = page.locator(".machine-now strong")
    expect(shown).not_to_have_text("Live")
    page.mouse.up()
    page.wait_for_url(re.compile("at="))
    expect(page.locator(".past-banner")).to_be_visible()
    page.locator("main .loaded[aria-busy=false]").first.wait_for()
    then = at(page)
    expect(shown).to_have_text(str(then))
    assert asked
    assert re.search(rf"at={then}\b", asked[-1])
    assert len(asked) <= 3
    page.go_back()
    expect(page).to_have_url(f"{up.url}/console/locks")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("7", "As of 7"), ("0s ago", "the last event"), ("2000-01-01 12:00", "before the first event")],
)
def test_a_sequence_a_time_or_how_long_ago_can_be_typed(
    log: tuple[Up, dict[str, str]], screen: Opener, text: str, shown: str
) -> None:
    up, _ = log
    page = screen(up).open("/tasks")
    field = machine(page).get_by_label("Go to a sequence or time")
    field.fill("some day")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Time machine").get_by_role("alert")).to_contain_text("10m ago")
    field.fill("99999")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Time machine").get_by_role("alert")).to_contain_text("ends at")
    field.fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".past-banner")).to_contain_text(shown)
    field.fill("live")
    page.keyboard.press("Enter")
    expect(page.locator(".past-banner")).to_have_count(0)


def test_marks_tell_what_went_wrong_and_a_click_goes_there(
    log: tuple[Up, dict[str, str]], screen: Opener
) -> None:
    up, ids = log
    page = screen(up).open(f"/tasks/{ids['fails']}")
    legend = machine(page).locator(".legend")
    expect(legend).to_contain_text("1 lock refused")
    expect(legend).to_contain_text("1 released by hand")
    failed = up.events(task_id=ids["fails"], event="failed")[0]["seq"]
    page.locator(".marks .mark-failed").first.click()
    expect(page).to_have_url(re.compile(f"at={failed}$"))
    expect(page.locator("article .title-row [data-state=failed]")).to_be_visible()


def test_it_plays_to_the_end_of_the_log_and_stops(log: tuple[Up, dict[str, str]], screen: Opener) -> None:
    up, _ = log
    last = up.events()[-1]["seq"]
    page = screen(up).open(f"/locks?at={last - 8}")
    play = machine(page).get_by_role("button", name="Play ten events a second")
    play.click()
    expect(play).to_have_attribute("aria-pressed", "true")
    expect(page).to_have_url(f"{up.url}/console/locks?at={last}")
    expect(play).to_have_attribute("aria-pressed", "false")


def test_a_viewer_has_no_marks_and_is_told_but_can_step(guarded: Up, screen: Opener) -> None:
    task = as_operator(guarded, "POST", "/tasks?dispatch=true", {"command": ["true"], "title": "seen"})["id"]
    until(lambda: as_operator(guarded, "GET", f"/tasks/{task}")["status"] == "succeeded", DEADLINE)
    window = screen(guarded)
    window.expected.append("401")
    page = window.open(f"/tasks/{task}")
    window.log_in("viewer")
    machine(page)
    expect(page.locator(".legend")).to_contain_text("need the role auditor")
    attempt = as_operator(guarded, "GET", f"/tasks/{task}/attempts")["items"][0]
    page.get_by_role("button", name="Event before of this task").click()
    expect(page).to_have_url(re.compile(f"at={attempt['started']['seq']}$"))
    expect(page.locator("article .title-row [data-state=running]")).to_be_visible()
    page.get_by_role("button", name="Next event of this task").click()
    expect(page).to_have_url(re.compile(f"at={attempt['ended']['seq']}$"))
    page.get_by_role("button", name="Next event of this task").click()
    expect(page.get_by_text("No later event of this task")).to_be_visible()
    page.goto(f"{guarded.url}/console/locks")
    expect(machine(page).get_by_role("button", name="Next event of a lock")).to_be_disabled()


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_looked_at_stays_in_its_place(
    log: tuple[Up, dict[str, str]], screen: Opener, width: int
) -> None:
    up, ids = log
    page = screen(up, width=width).open(f"/tasks/{ids['fails']}")
    page.locator(".trail li").last.wait_for()
    for top in (0, 200):
        page.evaluate(f"scrollTo(0, {top})")
        machine(page)
        assert page.evaluate("scrollY") == top
        height = page.locator(".machine").evaluate("one => one.offsetHeight / innerHeight")
        assert height < 0.25
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".past-banner")).to_be_visible()
        page.locator("main .loaded[aria-busy=false]").first.wait_for()
        assert abs(page.evaluate("scrollY") - top) <= 120  # the banner is above it
        page.keyboard.press("Escape")
        expect(page.locator(".past-banner")).to_have_count(0)
        page.locator(".trail li").last.wait_for()
        assert abs(page.evaluate("scrollY") - top) <= 120
        page.keyboard.press("Escape")
        expect(page.locator(".machine")).to_have_count(0)
