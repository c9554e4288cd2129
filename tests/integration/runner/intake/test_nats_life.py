"""An attempt's life over NATS: the real server with its real accounts, streams as the product makes them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats.js.errors
import pytest
from structlog.testing import capture_logs

from domain.identifiers import TaskId
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from runner.config import RunnerTiming
from runner.control.start_gate import LoggedEvent
from runner.control.task_log import TaskLog
from runner.nats_link import NatsLink
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    DEADLINE,
    NatsControlPlane,
    alive,
    all_gone,
    all_up,
    new_marker,
    resisting_job,
    submission,
    workspace,
)
from tests.integration.runner.intake.conftest import StartOnNats, heartbeat
from tests.support.nats import connect
from tests.support.ports import free_port
from tests.support.waiting import eventually


async def test_a_whole_life(on_nats: StartOnNats, nats_control: NatsControlPlane) -> None:
    service = await on_nats()
    task_id = await nats_control.submit(submission(["sh", "-c", "echo hi"], status_callback_token="cb-token"))
    final = await nats_control.final(task_id)
    assert nats_control.said(task_id) == ["queued", "running", "succeeded"]
    assert (final["runner_id"], final["attempt"], final["output_tail"]) == (service.runner_id, 1, "hi\n")
    reports = [report for report in nats_control.reports if report["task_id"] == task_id]
    assert all(report["headers"]["X-Runner-Token"] == "cb-token" for report in reports)
    assert len({report["headers"]["Nats-Msg-Id"] for report in reports}) == 3
    left = await nats_control.js.stream_info("TOWPATH_SUBMIT")
    assert left.state.messages == 0


async def test_no_start_before_running_stands_in_the_log(
    on_nats: StartOnNats, nats_control: NatsControlPlane, tmp_path: Path
) -> None:
    service = await on_nats()
    nats_control.deaf_to = {"running"}
    task_id = await nats_control.submit(submission(["touch", str(tmp_path / "ran")]))
    await eventually(lambda: "running" in nats_control.said(task_id), DEADLINE)
    assert not (tmp_path / "ran").exists()
    await nats_control.append(task_id, "running", 1, {"attempt": 1, "runner_id": service.runner_id})
    assert (await nats_control.final(task_id))["status"] == "succeeded"
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("event", "attempt", "data"),
    [
        ("running", 1, {"runner_id": "other"}),
        ("dispatched", 2, {}),
        ("canceled", 1, {}),
        ("submit-failed", 1, {"reason": "deadline"}),
    ],
)
async def test_an_attempt_that_is_over_never_starts_and_is_forgotten(
    on_nats: StartOnNats,
    nats_control: NatsControlPlane,
    tmp_path: Path,
    event: str,
    attempt: int,
    data: dict[str, Any],
) -> None:
    service = await on_nats()
    nats_control.deaf_to = {"running"}
    task_id = await nats_control.submit(submission(["touch", str(tmp_path / "ran")]))
    await eventually(lambda: "running" in nats_control.said(task_id), DEADLINE)
    await nats_control.append(task_id, event, attempt, {"attempt": attempt, **data})
    await eventually(lambda: not service.state.held(), DEADLINE)
    assert nats_control.said(task_id) == ["queued", "running"]
    assert not (tmp_path / "ran").exists()


async def test_cancel_before_the_start(
    on_nats: StartOnNats, nats_control: NatsControlPlane, tmp_path: Path
) -> None:
    await on_nats()
    nats_control.deaf_to = {"running"}
    task_id = await nats_control.submit(submission(["touch", str(tmp_path / "ran")]))
    await eventually(lambda: "running" in nats_control.said(task_id), DEADLINE)
    await nats_control.append(task_id, "cancel-requested", 1, {"attempt": 1, "by": "operator"})
    assert (await nats_control.final(task_id))["status"] == "canceled"
    assert not (tmp_path / "ran").exists()


async def test_cancel_of_a_running_job(on_nats: StartOnNats, nats_control: NatsControlPlane) -> None:
    await on_nats()
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await all_up(marker)
    await nats_control.append(task_id, "cancel-requested", 1, {"attempt": 1, "by": "operator"})
    assert (await nats_control.final(task_id))["status"] == "canceled"
    assert alive(marker) == []


async def test_events_that_are_not_heard_are_read(
    on_nats: StartOnNats, nats_control: NatsControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def deaf(*_: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(TaskLog, "watching", deaf)
    await on_nats(lease_seconds=1.5)
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await all_up(marker)
    await nats_control.append(task_id, "cancel-requested", 1, {"attempt": 1, "by": "operator"})
    assert (await nats_control.final(task_id))["status"] == "canceled"


async def test_heartbeats_do_not_read_attempts_whose_events_were_read(
    on_nats: StartOnNats, nats_control: NatsControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, newest, reads, asked = TaskLog.last_event, TaskLog.newest, Counter[str](), list[int]()

    async def counted(self: TaskLog, task_id: TaskId) -> LoggedEvent | None:
        reads[task_id] += 1
        return await read(self, task_id)

    async def noted(self: TaskLog, task_ids: Sequence[TaskId], after: int) -> dict[str, int]:
        found = await newest(self, task_ids, after)
        asked.append(len(task_ids))
        return found

    monkeypatch.setattr(TaskLog, "last_event", counted)
    monkeypatch.setattr(TaskLog, "newest", noted)
    await on_nats(lease_seconds=1.5, capacity=4)
    markers = [new_marker() for _ in range(3)]
    ids = [await nats_control.submit(submission(resisting_job(marker))) for marker in markers]
    for marker in markers:
        await all_up(marker)
    beats = len(asked)
    await eventually(lambda: len(asked) >= beats + 2, DEADLINE)
    before = reads.total()
    await eventually(lambda: len(asked) >= beats + 8, DEADLINE)
    assert asked[-6:] == [3] * 6
    assert reads.total() - before <= 3, "18 if each heartbeat read each attempt; an event may be heard late"
    for task_id in ids:
        await nats_control.append(task_id, "cancel-requested", 1, {"attempt": 1, "by": "operator"})
        assert (await nats_control.final(task_id))["status"] == "canceled"


async def test_a_client_that_gave_up_is_replaced(
    nats_control: NatsControlPlane, nats_server: EmbeddedNats
) -> None:
    link = NatsLink(nats_server.runner_url, {}, "me")
    await link.start()
    first = await link.client()
    await first.close()
    await eventually(link.is_ready, DEADLINE)
    assert (await link.client()) is not first
    await link.stop()
    assert not link.is_ready()


async def test_a_link_that_is_closed_says_nothing_of_it(nats_server: EmbeddedNats) -> None:
    link = NatsLink(nats_server.runner_url, {}, "me")
    await link.start()
    await link.client()
    with capture_logs() as lines:
        await link.stop()
    assert lines == []


async def test_a_running_job_whose_attempt_is_over_is_killed_without_a_word(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    service = await on_nats()
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await all_up(marker)
    await nats_control.append(task_id, "failed", 1, {"attempt": 1, "reason": "runner-lost"})
    await all_gone(marker)
    await eventually(lambda: not service.state.held(), DEADLINE)
    assert nats_control.said(task_id) == ["queued", "running"]


async def test_an_outage_of_nats_delays_and_loses_nothing(tmp_path: Path, start_runner: StartRunner) -> None:
    server = EmbeddedNats(tmp_path / "nats", port=free_port(), sync_interval="2m")
    server.start()
    nc = await connect(server.control_url)
    await ensure_streams(nc)
    control = NatsControlPlane(nc)
    await control.start()
    try:
        await start_runner(nats_url=server.runner_url, intake_port=None, lease_seconds=60.0)
        marker, gate = new_marker(), tmp_path / "go"
        canceled = await control.submit(submission(resisting_job(marker)))
        waits = f"until [ -e {gate} ]; do sleep 0.05; done; touch {tmp_path / 'done'}"
        finished = await control.submit(submission(["sh", "-c", waits]))
        await all_up(marker)
        await eventually(lambda: "running" in control.said(finished), DEADLINE)
        server.stop()
        gate.touch()
        await eventually((tmp_path / "done").exists, DEADLINE)
        server.start()
        await eventually(lambda: nc.is_connected, DEADLINE)
        await control.append(canceled, "cancel-requested", 1, {"attempt": 1})
        assert (await control.final(finished))["status"] == "succeeded"
        assert (await control.final(canceled))["status"] == "canceled"
    finally:
        await control.stop()
        await nc.close()
        server.stop()


async def test_what_is_no_submission_moves_to_the_dead_letters(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    await on_nats()
    await nats_control.js.publish("towpath.submit.default", b'{"task_id":"x","env":{"KEY":"s3cret"}}')

    async def buried() -> Any:
        try:
            return await nats_control.js.get_msg("TOWPATH_DEAD", subject="towpath.dead.submit.unreadable")
        except nats.js.errors.NotFoundError:
            return None

    message = await eventually(buried, DEADLINE)
    assert message.data == b'{"task_id":"x","env":{"KEY":"***"}}'
    assert "task_id" in message.headers["towpath-reason"]
    assert message.headers["towpath-source"] == "towpath.submit.default"
    task_id = await nats_control.submit(submission(["true"]))
    assert (await nats_control.final(task_id))["status"] == "succeeded"


async def test_a_refused_workspace_is_reported_as_failed(
    on_nats: StartOnNats, nats_control: NatsControlPlane, tmp_path: Path
) -> None:
    await on_nats(roots=(tmp_path / "root",))
    task_id = await nats_control.submit(submission(["true"], **workspace(tmp_path / "other")))
    final = await nats_control.final(task_id)
    assert (final["status"], final["reason"]) == ("failed", "error")
    assert f"--root {tmp_path / 'other'}" in final["message"]
    assert nats_control.said(task_id) == ["failed"]


async def test_a_submission_twice_runs_once(
    on_nats: StartOnNats, nats_control: NatsControlPlane, tmp_path: Path
) -> None:
    await on_nats()
    body = submission(["sh", "-c", f"echo x >> {tmp_path / 'count'}"])
    task_id = await nats_control.submit(body)
    await nats_control.final(task_id)
    await nats_control.js.publish("towpath.submit.default", json.dumps(body).encode())
    other = await nats_control.submit(submission(["true"]))
    await nats_control.final(other)
    assert (tmp_path / "count").read_text() == "x\n"
    assert nats_control.said(task_id) == ["queued", "running", "succeeded"]


async def test_a_deleted_consumer_is_made_anew(on_nats: StartOnNats, nats_control: NatsControlPlane) -> None:
    await on_nats(timing=RunnerTiming(fetch_seconds=0.5))
    first = await nats_control.submit(submission(["true"]))
    await nats_control.final(first)
    await nats_control.js.delete_consumer("TOWPATH_SUBMIT", "pool-default")
    second = await nats_control.submit(submission(["true"]))
    assert (await nats_control.final(second))["status"] == "succeeded"


async def test_a_runner_waits_for_nats(tmp_path: Path, start_runner: StartRunner) -> None:
    port = free_port()
    server = EmbeddedNats(tmp_path / "nats", port=port, sync_interval="2m")
    server.start()
    url = server.runner_url
    server.stop()
    service = await start_runner(nats_url=url, intake_port=None, timing=RunnerTiming(connect_seconds=0.1))
    server.start()
    nc = await connect(server.control_url)
    try:
        await ensure_streams(nc)
        control = NatsControlPlane(nc)
        await eventually(lambda: heartbeat(control, service), DEADLINE)
    finally:
        await service.stop()
        await nc.close()
        server.stop()
