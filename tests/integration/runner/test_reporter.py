"""Reports survive an outage in order, and a refused one stands in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from domain.wire import Report, Submission
from runner.reporter import Reporter
from runner.state import Key, RunnerState
from runner.transports import HttpReports
from tests.integration.runner.stage import DEADLINE, ControlPlane, control_plane, free_port, submission
from tests.support.waiting import eventually


@pytest.fixture
def state(tmp_path: Path) -> Iterator[RunnerState]:
    with closing(RunnerState(tmp_path / "state")) as opened:
        yield opened


@asynccontextmanager
async def reporting(state: RunnerState, *hosts: str) -> AsyncIterator[Reporter]:
    transport = HttpReports(hosts or ("127.0.0.1",))
    reporter = Reporter(state, {"http": transport}, lambda row: None)
    reporter.start()
    yield reporter
    await reporter.stop()
    await transport.close()


def hold(state: RunnerState, url: str, token: str = "cb-token") -> str:
    """An attempt with `running` and `succeeded` in the outbox, as a runner leaves them; its task id."""
    body = submission(["true"], status_callback_url=url, status_callback_token=token)
    sub = Submission.model_validate(body)
    state.accept(sub, "http", None)
    attempt = state.find(Key(sub.task_id, 1))
    assert attempt is not None
    state.advance(attempt, "starting", Report(status="running", attempt=1))
    state.end(attempt, "succeeded", Report(status="succeeded", attempt=1))
    return sub.task_id


async def test_order_and_token(state: RunnerState, plane: ControlPlane) -> None:
    task_id = hold(state, f"{plane.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert plane.said("x") == ["running", "succeeded"]
    assert all(headers["x-runner-token"] == "cb-token" for _, _, headers in plane.posts)
    assert state.pending(task_id) is None


async def test_an_outage_and_a_restart_lose_nothing(state: RunnerState) -> None:
    port = free_port()
    for name in ("a", "b"):
        hold(state, f"http://127.0.0.1:{port}/callback/{name}")
    async with reporting(state) as reporter:
        assert not await reporter.drain(0.3)
    async with control_plane(port) as plane, reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
        assert plane.said("a") == plane.said("b") == ["running", "succeeded"]


LAGGING = {"type": "urn:towpath:problem:not-granted"}


@pytest.mark.parametrize(("status", "body"), [(500, {}), (503, {}), (429, {}), (408, {}), (409, LAGGING)])
async def test_trouble_of_the_server_is_waited_out(
    state: RunnerState, plane: ControlPlane, status: int, body: dict[str, str]
) -> None:
    answers: Iterator[tuple[int, dict[str, Any]]] = iter([(status, body), (status, body)])
    plane.answer = lambda body: next(answers, (200, body))
    hold(state, f"{plane.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert plane.said("x") == ["running", "running", "running", "succeeded"]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 302, 307])
async def test_a_refusal_ends_one_report_only(state: RunnerState, plane: ControlPlane, status: int) -> None:
    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return (status, {}) if body["status"] == "running" else (200, body)

    plane.answer = answer
    hold(state, f"{plane.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert plane.said("x") == ["running", "succeeded"]  # and no redirect was followed


async def test_one_task_does_not_wait_for_another(state: RunnerState, plane: ControlPlane) -> None:
    stuck = hold(state, f"http://127.0.0.1:{free_port()}/callback/stuck")
    hold(state, f"{plane.url}/callback/x")
    async with reporting(state):
        await eventually(lambda: state.pending_tasks() == [stuck], DEADLINE)


async def test_no_report_goes_to_a_host_that_is_not_allowed(state: RunnerState, plane: ControlPlane) -> None:
    hold(state, f"{plane.url}/callback/x")
    async with reporting(state, "control.example"):
        await eventually(lambda: not state.pending_tasks(), DEADLINE)
    assert plane.posts == []
