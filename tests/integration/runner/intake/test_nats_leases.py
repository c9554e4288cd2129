"""What a runner on NATS holds: by its heartbeats, its lease, and after its restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from runner.config import RunnerTiming
from runner.service import RunnerService
from tests.integration.runner.harness import (
    DEADLINE,
    NatsControlPlane,
    alive,
    all_gone,
    all_up,
    new_marker,
    resisting_job,
    submission,
)
from tests.integration.runner.intake.conftest import StartOnNats, heartbeat
from tests.support.waiting import eventually


async def test_heartbeats_say_what_is_held_until_the_log_knows_its_end(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    service = await on_nats(pools=("default", "gpu"), lease_seconds=1.5)
    nats_control.deaf_to = {"succeeded"}
    task_id = await nats_control.submit(submission(["true"]), pool="gpu")
    await nats_control.final(task_id)
    first = await eventually(lambda: heartbeat(nats_control, service), DEADLINE)

    async def later() -> dict[str, Any] | None:
        said = await heartbeat(nats_control, service)
        return said if said["counter"] > first["counter"] else None

    said = await eventually(later, DEADLINE)
    assert said["held"] == [{"task_id": task_id, "attempt": 1}]
    assert (said["pools"], said["capacity"]) == (["default", "gpu"], 2)
    await nats_control.append(task_id, "succeeded", 1, {"attempt": 1})

    await _let_go(nats_control, service)


async def test_an_end_is_held_while_its_report_waits_and_let_go_once_it_was_given_up(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    service = await on_nats(lease_seconds=1.5, timing=RunnerTiming(settle_seconds=0.0))
    nats_control.deaf_to = {"succeeded"}
    task_id = await nats_control.submit(submission(["sleep", "0.5"]))
    await eventually(lambda: nats_control.said(task_id) == ["queued", "running"], DEADLINE)
    await nats_control.stop()  # the control plane is away

    async def waits() -> bool:
        return (await nats_control.js.stream_info("TOWPATH_REPORT")).state.messages == 1

    await eventually(waits, DEADLINE)
    first = await heartbeat(nats_control, service)

    async def three_later() -> dict[str, Any] | None:
        said = await heartbeat(nats_control, service)
        return said if said["counter"] > first["counter"] + 2000 else None

    said = await eventually(three_later, DEADLINE)
    assert said["held"] == [{"task_id": task_id, "attempt": 1}]
    await nats_control.start()  # and takes the report, but cannot apply it

    await _let_go(nats_control, service)


async def test_an_end_that_had_no_effect_is_reported_once_more_without_its_text(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    service = await on_nats(lease_seconds=1.5, timing=RunnerTiming(bare_seconds=0.0))
    nats_control.deaf_to = {"failed"}  # as a control plane that cannot read it
    job = submission(["sh", "-c", "echo text; exit 3"], status_callback_token="cb-token")
    task_id = await nats_control.submit(job)
    said = ["queued", "running", "failed", "failed"]
    await eventually(lambda: nats_control.said(task_id) == said, DEADLINE)
    full, bare = [one for one in nats_control.reports if one["status"] == "failed"]
    assert full["output_tail"] == "text\n"
    assert not {"output_tail", "message"} & bare.keys()
    assert (bare["exit_code"], bare["reason"]) == (3, "exit")
    assert bare["headers"]["X-Runner-Token"] == "cb-token"
    assert bare["headers"]["Nats-Msg-Id"] != full["headers"]["Nats-Msg-Id"]
    held = service.state.held()
    await eventually(lambda: service.state.outbox_depth() == 0, DEADLINE)
    await nats_control.append(task_id, "failed", 1, {"attempt": 1, "runner_id": service.runner_id})
    await eventually(lambda: not service.state.held(), DEADLINE)
    assert (held, nats_control.said(task_id)) == ([(task_id, 1)], said)
    assert service.state.file.rows("SELECT bare, bare_token FROM attempts") == [(None, None)]


async def test_no_start_without_a_lease_and_no_life_after_it(
    on_nats: StartOnNats, nats_control: NatsControlPlane
) -> None:
    await nats_control.js.delete_stream("TOWPATH_RUNNER")
    service = await on_nats(lease_seconds=1.5)
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await eventually(lambda: nats_control.said(task_id) == ["queued"], DEADLINE)
    await ensure_streams(nats_control.nc)
    await all_up(marker)
    await eventually(lambda: heartbeat(nats_control, service), DEADLINE)
    await nats_control.js.delete_stream("TOWPATH_RUNNER")
    final = await nats_control.final(task_id)
    assert alive(marker) == []
    assert (final["status"], final["reason"]) == ("failed", "runner-lost")


async def test_a_restarted_runner_reports_what_it_held(
    nats_control: NatsControlPlane,
    nats_server: EmbeddedNats,
    on_nats: StartOnNats,
    runner_process: Callable[..., Any],
) -> None:
    dying = runner_process(nats_url=nats_server.runner_url, intake_port=None)
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await all_up(marker)
    dying.close()
    await all_gone(marker)
    service = await on_nats()
    final = await nats_control.final(task_id)
    assert (final["reason"], final["runner_id"]) == ("runner-lost", service.runner_id)


async def test_a_cancel_asked_while_the_runner_was_dead_is_confirmed_when_it_is_back(
    nats_control: NatsControlPlane,
    nats_server: EmbeddedNats,
    on_nats: StartOnNats,
    runner_process: Callable[..., Any],
) -> None:
    dying = runner_process(nats_url=nats_server.runner_url, intake_port=None)
    marker = new_marker()
    task_id = await nats_control.submit(submission(resisting_job(marker)))
    await all_up(marker)
    dying.close()
    await nats_control.append(task_id, "cancel-requested", 1, {"attempt": 1, "by": "operator"})
    await on_nats()
    assert (await nats_control.final(task_id))["status"] == "canceled"
    assert alive(marker) == []


async def _let_go(nats_control: NatsControlPlane, service: RunnerService) -> None:
    """Wait until the runner lists nothing any more."""

    async def holds_nothing() -> bool:
        return not (await heartbeat(nats_control, service))["held"]

    await eventually(holds_nothing, DEADLINE)
