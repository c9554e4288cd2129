"""Reports survive an outage in order, and a refused one stands in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.backoff import Backoff
from domain.protocol import Report, Submission
from runner.outbox.delivery_lane import AT_ONCE, RETRY
from runner.outbox.reporter import Reporter
from runner.outbox.transports import HttpReports, ReportAnswer
from runner.store.disk_guard import Storage
from runner.store.state import Key, OutboxRow, RunnerState
from tests.integration.runner.harness import DEADLINE, HttpControlPlane, http_control_plane, submission
from tests.support.ports import free_port
from tests.support.waiting import eventually


@pytest.fixture
def state(tmp_path: Path) -> Iterator[RunnerState]:
    with closing(RunnerState(tmp_path / "state")) as opened:
        yield opened


class Counting(HttpReports):
    """Knows how many reports were on their way at once."""

    now = most = 0

    async def send(self, row: OutboxRow) -> ReportAnswer:
        Counting.now += 1
        Counting.most = max(Counting.most, Counting.now)
        try:
            return await super().send(row)
        finally:
            Counting.now -= 1


@asynccontextmanager
async def reporting(state: RunnerState, *origins: str, retry: Backoff = RETRY) -> AsyncIterator[Reporter]:
    """By default the origins that the outbox's reports go to are the configured ones."""
    known = {row[0].rpartition("/callback")[0] for row in state.file.rows("SELECT url FROM outbox")}
    transport = Counting(origins or known)
    reporter = Reporter(state, Storage(state, 0), {"http": transport}, retry=retry, drain_seconds=0)
    await reporter.start()
    yield reporter
    await reporter.stop()
    await transport.close()


MANY = 150


def hold(state: RunnerState, url: str, token: str = "cb-token", **end: Any) -> str:
    """An attempt with `running` and `succeeded` in the outbox, as a runner leaves them; its task id."""
    body = submission(["true"], status_callback_url=url, status_callback_token=token)
    sub = Submission.model_validate(body)
    state.accept(sub, "http", None)
    attempt = state.find(Key(sub.task_id, 1))
    assert attempt is not None
    state.advance(attempt, "starting", Report(status="running", attempt=1))
    state.end(attempt, "succeeded", Report(status="succeeded", attempt=1, **end))
    return sub.task_id


async def test_order_and_token(state: RunnerState, control: HttpControlPlane) -> None:
    task_id = hold(state, f"{control.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "succeeded"]
    assert all(headers["x-runner-token"] == "cb-token" for _, _, headers in control.posts)
    assert state.pending(task_id) is None


async def test_an_outage_and_a_restart_lose_nothing(state: RunnerState) -> None:
    port = free_port()
    for name in ("a", "b"):
        hold(state, f"http://127.0.0.1:{port}/callback/{name}")
    async with reporting(state) as reporter:
        assert not await reporter.drain(0.3)
    async with http_control_plane(port) as control, reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
        assert control.said("a") == control.said("b") == ["running", "succeeded"]


LAGGING = {"type": "urn:towpath:problem:not-granted"}
TROUBLE = [(500, {}), (502, {}), (503, {}), (504, {}), (507, {}), (429, {}), (408, {}), (409, LAGGING)]
MISCONFIGURED = [(401, {}), (403, {}), (302, {}), (307, {})]


@pytest.mark.parametrize(("status", "body"), [*TROUBLE, *MISCONFIGURED])
async def test_what_is_not_the_fault_of_the_report_is_waited_out(
    state: RunnerState, control: HttpControlPlane, status: int, body: dict[str, str]
) -> None:
    answers: Iterator[tuple[int, dict[str, Any]]] = iter([(status, body), (status, body)])
    control.answer = lambda body: next(answers, (200, body))
    hold(state, f"{control.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "running", "running", "succeeded"]  # and no redirect was followed


@pytest.mark.parametrize("status", [400, 404, 409, 410, 413, 422])
async def test_a_refusal_ends_one_report_only(
    state: RunnerState, control: HttpControlPlane, status: int
) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (status, {}) if body["status"] == "running" else (200, body)

    control.answer = answer
    hold(state, f"{control.url}/callback/x")
    with capture_logs() as lines:
        async with reporting(state):
            await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "succeeded"]
    (refused,) = [line for line in lines if line["event"] == "report refused, dropped"]
    assert (refused["log_level"], refused["status"]) == ("warning", "running")
    assert str(status) in refused["detail"]


async def test_what_is_too_large_goes_without_its_output(
    state: RunnerState, control: HttpControlPlane
) -> None:
    control.answer = lambda body: (413, {}) if "output_tail" in body else (200, body)
    hold(state, f"{control.url}/callback/x", output_tail="much")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "succeeded", "succeeded"]
    assert [body.get("output_tail") for _, body, _ in control.posts] == [None, "much", None]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_an_end_whose_text_is_refused_goes_bare(
    state: RunnerState, control: HttpControlPlane, status: int
) -> None:
    control.answer = lambda body: (status, {}) if "message" in body else (200, body)
    hold(state, f"{control.url}/callback/x", output_tail="\ufffd", message="m", exit_code=0, runner_id="r")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "succeeded", "succeeded", "succeeded"]
    bare = {"status": "succeeded", "attempt": 1, "runner_id": "r", "exit_code": 0}
    assert control.posts[-1][1] == {**bare, "instance": state.instance}


async def test_a_report_that_breaks_the_server_blocks_no_other(
    state: RunnerState, control: HttpControlPlane
) -> None:
    bad = hold(state, f"{control.url}/callback/bad")
    control.answer = lambda body: (500, {}) if body["attempt"] == 9 else (200, body)
    for number in range(20):
        hold(state, f"{control.url}/callback/{number}")
    state.file.run("UPDATE outbox SET body = json_set(body, '$.attempt', 9) WHERE task_id = ?", (bad,))
    async with reporting(state) as reporter:
        await eventually(lambda: state.pending_tasks() == [bad], DEADLINE)
        assert reporter.troubles() == {}
    assert control.said("19") == ["running", "succeeded"]


async def test_after_an_outage_all_reports_arrive_in_order_and_a_few_at_a_time(
    state: RunnerState, control: HttpControlPlane
) -> None:
    tasks = [f"task-{number}" for number in range(MANY)]
    with state.file.transaction():
        for status in ("running", "succeeded"):
            body = Report(status=status, attempt=1).model_dump_json(exclude_none=True)
            for task in tasks:
                state.file.run(
                    "INSERT INTO outbox (task_id, attempt, transport, body, url) VALUES (?, 1, 'http', ?, ?)",
                    (task, body, f"{control.url}/callback/{task}"),
                )
    control.answer = lambda body: (503, {})
    async with reporting(state) as reporter:
        await eventually(lambda: len(control.posts) > AT_ONCE + 3, DEADLINE)
        assert list(reporter.troubles().values()) == ["HTTP 503"]
        # Once the way is known to be blocked one at a time tries, and not always the same.
        tried = [task for task, _, _ in control.posts]
        assert len(set(tried)) == len(tried)
        assert state.outbox_depth() == 2 * MANY
        control.posts.clear()
        control.answer = None
        await eventually(lambda: not state.outbox_depth(), DEADLINE)
        assert reporter.troubles() == {}
    said: dict[str, list[str]] = {}
    for task, body, _ in control.posts:
        said.setdefault(task, []).append(body["status"])
    assert said == {task: ["running", "succeeded"] for task in tasks}
    assert 1 < Counting.most <= AT_ONCE


async def test_a_new_report_need_not_wait_for_the_next_try_of_the_old_ones(
    state: RunnerState, control: HttpControlPlane
) -> None:
    hold(state, f"{control.url}/callback/old")
    control.answer = lambda body: (503, {})
    async with reporting(state, retry=Backoff(first_seconds=1e6)) as reporter:
        await eventually(lambda: reporter.troubles(), DEADLINE)
        control.answer = None
        reporter.wake(hold(state, f"{control.url}/callback/new"))
        await eventually(lambda: not state.pending_tasks(), DEADLINE)


async def test_an_answered_report_is_sent_once_however_long_the_disk_is_full(
    state: RunnerState, control: HttpControlPlane
) -> None:
    hold(state, f"{control.url}/callback/x")
    state.file.run("PRAGMA query_only = ON")
    async with reporting(state):
        await eventually(lambda: control.said("x") == ["running"], DEADLINE)
        state.file.run("PRAGMA query_only = OFF")
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.said("x") == ["running", "succeeded"]


@pytest.mark.parametrize("shared_origin", [True, False])
async def test_one_task_does_not_wait_for_another(
    state: RunnerState, control: HttpControlPlane, shared_origin: bool
) -> None:
    """The older task's report hangs from before the other's until after it."""
    async with http_control_plane() as other:
        hanging = control if shared_origin else other
        hanging.silent_to.add("stuck")
        stuck = hold(state, f"{hanging.url}/callback/stuck")
        hold(state, f"{control.url}/callback/x")
        async with reporting(state):
            await eventually(lambda: state.pending_tasks() == [stuck], DEADLINE)
            under_way = hanging.said("stuck"), Counting.now
            assert under_way == (["running"], 1), "the hanging report was given up before the other could go"


async def test_no_report_goes_to_a_host_that_is_not_allowed(
    state: RunnerState, control: HttpControlPlane
) -> None:
    hold(state, f"{control.url}/callback/x")
    async with reporting(state, "control.example"):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert control.posts == []
