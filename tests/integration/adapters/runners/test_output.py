"""Outputs asked for over the real NATS with its real accounts, and over HTTP, of real runners."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from adapters.nats.client import Kind, new_client
from adapters.runners.output import NatsOutputs, PushOutputs
from domain.identifiers import RunnerId
from domain.ports.outputs import OutputNotThere, OutputPlace, RunnerAway
from domain.runners.output_range import OutputRange, RangeRequest
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from runner.service import RunnerService
from tests.integration.runner.conftest import (  # noqa: F401 (fixtures)
    StartRunner,
    control,
    nats_control,
    runner_process,
    start_runner,
)
from tests.integration.runner.harness import (
    DEADLINE,
    HttpControlPlane,
    NatsControlPlane,
    RunnerProcess,
    runner_config,
    submission,
)
from tests.support.waiting import eventually

PLACE = OutputPlace("default", RunnerId("r1"))


def request(body: dict[str, Any], **asked: Any) -> RangeRequest:
    return RangeRequest(task_id=body["task_id"], attempt=1, **asked)


async def whole(outputs: Any, body: dict[str, Any]) -> bytes:
    """Follow it to its end."""
    found = b""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                piece = await outputs.read(PLACE, request(body, offset=len(found), wait=5))
            except (OutputNotThere, RunnerAway):
                assert not found
                await asyncio.sleep(0.02)
                continue
            assert piece.offset == len(found)
            found += piece.data
            if piece.complete and len(found) == piece.size:
                return found


@pytest.mark.parametrize("kind", ["plain", "fast"])
async def test_over_nats_live_and_masked(
    nats_control: NatsControlPlane,  # noqa: F811
    nats_server: EmbeddedNats,
    start_runner: StartRunner,  # noqa: F811
    js_connection: Client,
    kind: Kind,
) -> None:
    await ensure_streams(js_connection, 1)
    await start_runner(
        partial(new_client, kind), nats_url=nats_server.runner_url, intake_port=None, runner_id="r1"
    )
    outputs = NatsOutputs(js_connection)
    script = "printf one-s3; sleep 0.3; echo cret; head -c 3000000 /dev/zero | tr '\\0' x; echo s3cret"
    given = {"env": {"KEY": "s3cret"}, "secret_names": ["KEY"]}
    body = submission(["sh", "-c", script], **given)
    await nats_control.submit(body)
    assert await whole(outputs, body) == b"one-[redacted]\n" + b"x" * 3_000_000 + b"[redacted]\n"
    ended = await outputs.read(PLACE, request(body, offset=-11, limit=5))
    assert ended == OutputRange(b"[reda", 3_000_015, 3_000_026, complete=True)
    largest = await outputs.read(PLACE, request(body, limit=1 << 20))
    assert 1_000_000 < len(largest.data) < 1 << 20
    ranges = [request(body, offset=one * 100_000, limit=1 << 20) for one in range(25)]
    text = b"one-[redacted]\n" + b"x" * 3_000_000 + b"[redacted]\n"
    for asked, found in zip(
        ranges, await asyncio.gather(*map(partial(outputs.read, PLACE), ranges)), strict=True
    ):
        assert found.data == text[asked.offset : asked.offset + len(largest.data)]
    with pytest.raises(OutputNotThere):
        await outputs.read(PLACE, request(body).model_copy(update={"attempt": 2}))


async def test_another_runner_with_the_same_id_does_not_answer_while_the_right_one_waits(
    nats_control: NatsControlPlane,  # noqa: F811
    nats_server: EmbeddedNats,
    start_runner: StartRunner,  # noqa: F811
    js_connection: Client,
    tmp_path: Path,
) -> None:
    await ensure_streams(js_connection, 1)
    config: dict[str, Any] = {"nats_url": nats_server.runner_url, "intake_port": None, "runner_id": "r1"}
    right = await start_runner(**config)
    outputs = NatsOutputs(js_connection)
    body = submission(["sleep", "300"])
    await nats_control.submit(body)
    await eventually(lambda: "running" in nats_control.said(body["task_id"]), DEADLINE)
    other = RunnerService(runner_config(tmp_path / "other", **config))
    await other.start()
    try:
        with pytest.raises(OutputNotThere):  # so the other one listens
            await outputs.read(PLACE, request(submission(["true"])))
        asked = request(body, wait=1.5, instance=right.state.instance)
        assert await outputs.read(PLACE, asked) == OutputRange(b"", 0, 0, complete=False)
    finally:
        await other.stop()


async def test_no_runner_answers_at_once(js_connection: Client) -> None:
    outputs = NatsOutputs(js_connection)
    with pytest.raises(RunnerAway, match="runner r1 is not connected"):
        await outputs.read(PLACE, request(submission(["true"]), wait=20))
    with pytest.raises(RunnerAway, match="has not said its id"):
        await outputs.read(OutputPlace("default", None), request(submission(["true"])))


async def test_a_runner_that_is_killed_while_it_answers_is_away(
    nats_control: NatsControlPlane,  # noqa: F811
    nats_server: EmbeddedNats,
    runner_process: Callable[..., RunnerProcess],  # noqa: F811
    js_connection: Client,
) -> None:
    await ensure_streams(js_connection, 1)
    runner = runner_process(nats_url=nats_server.runner_url, runner_id="r1")
    outputs = NatsOutputs(js_connection, margin_seconds=0.5)
    body = submission(["sh", "-c", "echo first; sleep 300"])
    await nats_control.submit(body)
    await eventually(lambda: "running" in nats_control.said(body["task_id"]), DEADLINE)
    first = await outputs.read(PLACE, request(body, wait=5))
    assert first.data == b"first\n"
    waiting = asyncio.ensure_future(outputs.read(PLACE, request(body, offset=6, wait=1)))
    await asyncio.sleep(0)
    runner.end(signal.SIGKILL)
    with pytest.raises(RunnerAway):
        await asyncio.wait_for(waiting, DEADLINE)


async def test_over_http(control: HttpControlPlane, start_runner: StartRunner) -> None:  # noqa: F811
    runner = await start_runner(callback_urls=(control.url,), runner_token="t" * 20, capacity=50)
    assert runner.intake_url is not None
    headers = {"X-Runner-Token": "t" * 20}
    async with httpx.AsyncClient(base_url=runner.intake_url, headers=headers) as client:
        body = submission(["sh", "-c", "echo one; sleep 0.3; echo two; echo cb-token"])
        sent = await client.post("/tasks/submit", json=body | control.callback(body["task_id"]))
        assert sent.status_code == 202
        outputs = PushOutputs(client, runner.intake_url, "t" * 20)
        assert await whole(outputs, body) == b"one\ntwo\n[redacted]\n"
        followers = [whole(outputs, body) for _ in range(100)]
        assert set(await asyncio.gather(*followers)) == {b"one\ntwo\n[redacted]\n"}

        path = f"/tasks/{body['task_id']}/output"
        assert (await client.get(path, params={"limit": 0})).status_code == 422
        assert (await client.get(path, headers={"X-Runner-Token": "wrong"})).status_code == 401
        answer = await client.get(path, params={"offset": -3})
        assert (answer.text, answer.headers["towpath-output-attempt"]) == ("d]\n", "1")
        assert answer.headers["x-content-type-options"] == "nosniff"
        with pytest.raises(OutputNotThere) as none:
            await outputs.read(PLACE, request(submission(["true"])))
        assert not none.value.never


async def test_a_runner_without_the_route_keeps_none(control: HttpControlPlane) -> None:  # noqa: F811
    async with httpx.AsyncClient() as client:
        with pytest.raises(OutputNotThere) as none:
            await PushOutputs(client, control.url, None).read(PLACE, request(submission(["true"])))
        assert none.value.never
        with pytest.raises(RunnerAway, match="does not answer"):
            await PushOutputs(client, "http://127.0.0.1:1", None).read(PLACE, request(submission(["true"])))
