"""The page of one task: its timeline, its output while it grows, its trail, and unknown outcomes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from runner.config import RunnerConfig
from tests.pages.console.conftest import Opener, Patient, every_view
from tests.pages.console.installations import SECOND
from tests.pages.console.looks import press
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import until

pytestmark = pytest.mark.pages

MOST_NODES = 3000
RETRY = {"max_attempts": 2, "backoff_seconds": 1, "on": ["exit"]}
LINES = 300_000
BIG = "12345678901234567890123"
COUNTING = 'n=0; until [ -e "$1" ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done; echo "the last"'


@pytest.fixture(scope="module")
def retried(up: Up) -> str:
    """A task whose two attempts have failed."""
    return up.create(["sh", "-c", "echo attempt $TOWPATH_ATTEMPT; exit 4"], title="flaky", retry=RETRY)


@pytest.fixture(scope="module")
def huge(up: Up) -> str:
    """A task with an output that no page holds."""
    return up.create(["seq", "-f", "line %.0f", str(LINES)], title="huge")


def attempts(page: Page) -> Locator:
    return page.locator(".attempt-table tbody tr")


def nodes(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('*').length"))


@every_view
@pytest.mark.parametrize("which", ["retried", "running", "past"])
def test_no_page_of_a_task_is_at_fault(
    up: Up, retried: str, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    window = screen(up, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    if which == "running":
        page = window.open(f"/tasks/{up.create(['sleep', '60'], title='sleep', timeout_seconds=3000)}")
        expect(page.locator(".deadlines")).to_contain_text("timeout in")
    else:
        page = window.open(f"/tasks/{retried}")
        expect(attempts(page)).to_have_count(2)
        expect(page.locator(".output pre")).to_have_text("attempt 2\n")
    if which == "past":
        (begun, _) = up.events(task_id=retried, event="dispatched")
        window.open(f"/tasks/{retried}?at={begun['seq']}")
        expect(attempts(page)).to_have_count(1)
        expect(attempts(page)).to_contain_text("dispatched")
    else:
        page.locator(".trail summary").first.click()
        page.locator(".changes").first.wait_for()
    window.has_no_fault()


def test_each_attempt_has_a_lane_a_row_and_its_output(up: Up, retried: str, screen: Opener) -> None:
    page = screen(up).open(f"/tasks/{retried}")
    expect(attempts(page)).to_have_count(2)
    expect(attempts(page).first).to_contain_text("exit 4")
    picture = page.get_by_role("img", name="Timeline of the attempts")
    for lane in ("#1", "#2"):
        expect(picture.locator(".lane-name", has_text=lane)).to_have_count(1)
    expect(picture.locator(".step.running")).to_have_count(2)
    expect(page.locator(".output pre")).to_have_text("attempt 2\n")
    attempts(page).first.get_by_role("link", name="#1").click()
    expect(page.locator(".output pre")).to_have_text("attempt 1\n")
    expect(page).to_have_url(re.compile(r"\?attempt=1$"))
    page.get_by_label("of attempt").select_option("2")
    expect(page.locator(".output pre")).to_have_text("attempt 2\n")


def test_what_a_task_waits_for_is_a_deadline_and_a_lock(up: Up, screen: Opener) -> None:
    up.workspace("yard")
    claim = {"workspace": "yard", "lock_paths": ["a"]}
    holder = up.create(["sleep", "600"], title="holder", **claim)
    waiter = up.create(["true"], title="waiter", lock_wait_seconds=900, **claim)
    window = screen(up)
    page = window.open(f"/tasks/{waiter}")
    expect(page.locator(".deadlines")).to_contain_text("gives up waiting in 14m")
    expect(attempts(page)).to_contain_text("waiting for lock")
    expect(page.get_by_label("Lock", exact=True)).to_contain_text("Place in line")
    assert page.get_by_role("button", name=re.compile("^Release")).count() == 0
    window.open(f"/tasks/{holder}")
    lock = page.get_by_label("Lock", exact=True)
    expect(lock).to_contain_text("Lease")
    expect(page.locator(".timeline .picture svg")).to_be_visible()
    assert page.locator(".deadlines, .deadline").count() == 0, "a healthy lease is no deadline"
    expect(lock).to_contain_text("alive")
    lock.get_by_role("button", name="Release the lock of holder").click()
    expect(page.get_by_role("dialog")).to_contain_text("Release this lock by hand?")
    page.keyboard.press("Escape")
    expect(lock.get_by_role("button")).to_be_focused()


def test_a_task_that_ignores_its_cancel_shows_when_it_is_killed(patient: Patient, screen: Opener) -> None:
    up, runner = patient
    stubborn = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    task = up.create(stubborn, title="stubborn", pool=SECOND)
    window = screen(up)
    page = window.open(f"/tasks/{task}")
    expect(page.locator(".output pre")).to_have_text("ready\n")
    window.expected.append("503")  # of its output
    os.killpg(runner.process.pid, signal.SIGSTOP)  # the grace does not end before the page has shown it
    up.post(f"/tasks/{task}/cancel")
    expect(page.locator(".deadlines")).to_contain_text("SIGKILL after the cancel")
    expect(attempts(page)).to_contain_text("cancel asked")
    os.killpg(runner.process.pid, signal.SIGCONT)
    expect(attempts(page)).to_contain_text("canceled")
    expect(page.locator(".deadlines")).to_have_count(0)
    console = (REPO / "api/console/src/pages/Task.tsx").read_text()
    assert f"KILL_GRACE_SECONDS = {RunnerConfig.kill_grace_seconds:.0f};" in console


def test_output_is_followed_paused_and_followed_again_by_keyboard(
    up: Up, screen: Opener, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    task = up.create(["sh", "-c", COUNTING, "sh", str(end)], title="counts")
    page = screen(up).open(f"/tasks/{task}")
    text = page.locator(".output pre")
    expect(text).to_contain_text("line 60\n")
    assert text.evaluate("one => one.scrollHeight - one.scrollTop - one.clientHeight") < 20
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    press(page, "p")
    expect(page.locator(".output-bar")).to_contain_text("paused")
    shown = text.inner_text()
    hidden = page.locator(".not-shown", has_text="The last")
    expect(hidden).to_be_visible()
    assert text.inner_text() == shown
    end.touch()
    hidden.get_by_role("button", name="Jump to the end").click()
    expect(text).to_contain_text("the last\n")
    expect(page.locator(".output-bar")).to_contain_text("whole")


def test_scrolling_up_in_a_live_output_stays_there(up: Up, screen: Opener, tmp_path: Path) -> None:
    end = tmp_path / "end"
    task = up.create(["sh", "-c", COUNTING, "sh", str(end)], title="counts")
    page = screen(up).open(f"/tasks/{task}")
    text = page.locator(".output pre")
    expect(text).to_contain_text("line 60\n")
    text.hover()
    page.mouse.wheel(0, -400)
    expect(page.locator(".output-bar")).to_contain_text("paused")
    page.get_by_role("button", name="Follow").click()
    expect(page.locator(".output-bar")).to_contain_text("live")
    end.touch()
    expect(text).to_contain_text("the last\n")


def test_a_huge_output_is_read_in_ranges_and_says_what_is_not_shown(
    up: Up, huge: str, screen: Opener
) -> None:
    page = screen(up).open(f"/tasks/{huge}")
    text = page.locator(".output pre")
    expect(text).to_contain_text(f"line {LINES}\n")
    expect(page.locator(".output-bar")).to_contain_text("whole · 3.3 MiB")
    first = page.locator(".not-shown", has_text="The first 3.3 MiB are not shown")
    expect(first).to_be_visible()
    assert nodes(page) < MOST_NODES
    earliest = text.inner_text().partition("\n")[0]
    first.get_by_role("button", name="Show earlier").click()
    expect(text).not_to_have_text(re.compile(f"^{earliest}\n"))
    expect(text).to_contain_text(f"\n{earliest}\n")
    first.get_by_role("button", name="Jump to the start").click()
    expect(text).to_contain_text("line 1\nline 2\n")
    last = page.locator(".not-shown", has_text="The last 3.3 MiB are not shown")
    for _ in range(6):
        last.get_by_role("button", name="Show later").click()
        expect(last.get_by_role("button", name="Show later")).to_be_enabled()
    assert nodes(page) < MOST_NODES
    assert len(text.inner_text()) < 300_000
    page.get_by_role("button", name="Jump to the end").click()
    expect(text).to_contain_text(f"line {LINES}\n")


def test_the_whole_output_is_downloaded_byte_for_byte(up: Up, huge: str, screen: Opener) -> None:
    page = screen(up).open(f"/tasks/{huge}")
    expect(page.locator(".output-bar")).to_contain_text("whole")
    with page.expect_download() as got:
        page.get_by_role("button", name="Download").click()
    assert got.value.suggested_filename == f"{huge}-attempt-1.log"
    want = "".join(f"line {number}\n" for number in range(1, LINES + 1))
    assert Path(got.value.path()).read_text() == want


def test_output_of_a_million_colours_and_one_endless_line_is_bounded(up: Up, screen: Opener) -> None:
    script = r"""i=0; while [ $i -lt 9000 ]; do i=$((i+1)); printf '\033[3%dmx\033[0m' $((i%8)); done
head -c 3000000 /dev/zero | tr '\0' y; printf '\n\342\200\256gnp <img src=x onerror=alert(1)>\n'"""
    task = up.create(["sh", "-c", script], title="colours")
    page = screen(up).open(f"/tasks/{task}")
    text = page.locator(".output pre")
    expect(text).to_contain_text("⟨U+202E⟩gnp <img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Jump to the start").click()
    expect(text.locator(".ansi-1").first).to_be_visible()
    assert nodes(page) < MOST_NODES
    assert page.locator("main img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_trail_tells_what_each_event_brought_and_its_text(up: Up, retried: str, screen: Opener) -> None:
    window = screen(up)
    (created,) = up.events(task_id=retried, event="created")

    def enlarge(route: Route) -> None:
        answer = route.fetch()
        text = answer.text().replace('"data":{', f'"data":{{"large":{BIG},', 1)
        route.fulfill(response=answer, body=text)

    window.page.route(f"**/tasks/{retried}/events?*", enlarge)
    page = window.open(f"/tasks/{retried}")
    first = page.locator(".trail > li").first
    expect(first.locator(".seq")).to_have_attribute("href", f"/console/log/{created['seq']}")
    expect(first.locator(".tells")).to_have_text(shlex.join(created["data"]["command"]))
    first.locator("summary").first.click()
    expect(first.locator(".changes")).to_contain_text(BIG)
    first.get_by_text("JSON").click()
    expect(first.locator("pre")).to_contain_text(f'"large": {BIG}')
    expect(first.locator("pre")).to_contain_text(json.dumps(created["id"]))
    second = page.locator(".trail > li", has_text="dispatched #2")
    second.locator("summary").first.click()
    expect(second.locator(".changes")).to_contain_text("1 → 2")
    expect(second.locator(".event-data")).to_contain_text("As before:")


def test_an_unknown_outcome_is_read_again_told_and_never_repeated(
    up: Up, retried: str, screen: Opener
) -> None:
    window = screen(up)
    page = window.open(f"/tasks/{retried}")
    again = page.get_by_role("button", name="Run again")
    expect(attempts(page)).to_have_count(2)
    sent: list[str] = []

    def lose(route: Route) -> None:
        sent.append(route.request.post_data or "")
        body = {"code": "unavailable", "detail": "no quorum", "status": 503}
        route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(body))

    page.route(f"**/tasks/{retried}/dispatch", lose)
    window.expected.append("503")
    again.click()
    said = page.locator(".message.bad")
    expect(said).to_contain_text("Whether this was recorded is unknown (no quorum)")
    expect(said).to_contain_text("The task is now failed, at attempt 2")
    expect(again).to_be_enabled()
    assert [json.loads(one) for one in sent] == [{"attempt": 2}]


def test_an_end_of_an_id_leads_to_the_task_and_what_is_none_to_the_search(up: Up, screen: Opener) -> None:
    task = up.create(["true"], title="by its end", dispatch=False)
    until(lambda: up.get("/tasks", id=task[-8:])["items"], DEADLINE)
    window = screen(up)
    page = window.open(f"/tasks/{task[-8:]}")
    expect(page.get_by_role("heading", level=1)).to_have_text("by its end")
    expect(page).to_have_url(f"{up.url}/console/tasks/{task}")
    another = up.create(["true"], title="another", dispatch=False)
    until(lambda: up.get("/tasks", id=another[-8:])["items"], DEADLINE)
    window.open(f"/tasks/{task[:4]}")  # it begins with a time
    expect(page.get_by_role("heading", level=1)).to_contain_text("Several tasks")
    page = window.open("/tasks/abc")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no task abc")
    page.get_by_role("link", name="Search the tasks for it").click()
    expect(page).to_have_url(f"{up.url}/console/tasks?q=abc")


def test_an_output_of_the_past_is_shown_from_its_end_on(up: Up, screen: Opener) -> None:
    task = up.create(["sh", "-c", "seq -f 'line %g of a long output' 1 900"], title="long")
    until(lambda: up.ended(task), DEADLINE)
    (end,) = up.events(task_id=task, event="succeeded")
    window = screen(up)
    page = window.open(f"/tasks/{task}?at={end['seq']}")
    text = page.locator(".output pre")
    expect(text).to_contain_text("line 900 of a long output")
    assert text.evaluate("one => one.scrollHeight - one.scrollTop - one.clientHeight") <= 2
    assert text.inner_text().startswith("…")
    expect(page.locator(".output")).to_contain_text("The last 8 KiB")
    text.evaluate("one => one.scrollTo(0, 0)")
    page.get_by_label("wrap lines").uncheck()
    assert text.evaluate("one => one.scrollTop") == 0, "it stays where it was scrolled to"
    window.expected.append("404")
    page.goto(f"{up.url}/console/tasks/{task}?at=0")
    expect(page.get_by_role("alert")).to_contain_text("There was no task")
    assert page.get_by_role("button", name="Try again").count() == 0
