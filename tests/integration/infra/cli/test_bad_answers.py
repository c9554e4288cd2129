"""Every exchange over HTTP that Towpath begins has an end and a bound, whatever the other side answers."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import get_args

import httpx
import pytest

import adapters.runners.submission
import infra.cli.client.http
from adapters.runners.submission import PushRunnerClient
from domain.errors import Busy
from domain.ports.dispatch import SubmitUnreachable
from domain.protocol import Heartbeat, Report, Submission
from infra.composition import push_client
from infra.errors.cli_error import CliError
from infra.nats.monitoring import MonitorUnavailable, server_facts
from runner.control.heartbeat import NotAcknowledged
from runner.control.heartbeat_channels import HttpBeats
from runner.outbox.transports import HttpReports
from runner.store.state import Key, OutboxRow
from tests.support.http.bad_http import BadHttp, Kind
from tests.support.messages import new_id
from tests.support.waiting import eventually

PATIENCE_SECONDS = 0.5
BOUND_SECONDS = 20.0
SUBMISSION = Submission(task_id=new_id(), attempt=1, title="t", command=["x"], execution_mode="no-workspace")


@pytest.fixture(params=get_args(Kind))
async def bad(request: pytest.FixtureRequest) -> AsyncIterator[BadHttp]:
    async with BadHttp(request.param, "http://127.0.0.1:9/") as server:
        yield server


async def push(bad: BadHttp) -> str:
    async with push_client() as http:
        with pytest.raises(SubmitUnreachable) as trouble:
            await PushRunnerClient(http, bad.url, "token", seconds=PATIENCE_SECONDS).submit(
                SUBMISSION, "default"
            )
    return str(trouble.value)


async def push_cancel(bad: BadHttp) -> str:
    async with push_client() as http:
        with pytest.raises(SubmitUnreachable) as trouble:
            await PushRunnerClient(http, bad.url, "token", seconds=PATIENCE_SECONDS).cancel(
                new_id(), 1, "default"
            )
    return str(trouble.value)


async def report(bad: BadHttp) -> str:
    transport = HttpReports([bad.url], seconds=PATIENCE_SECONDS)
    body = Report(status="succeeded", attempt=1).model_dump_json(exclude_none=True)
    answer = await transport.send(
        OutboxRow(1, Key(new_id(), 1), "http", body, f"{bad.url}/x", "token", None, "m1")
    )
    await transport.close()
    assert answer.outcome in ("retry", "blocked")  # an end is never lost by an answer that cannot be read
    return answer.detail


async def beat(bad: BadHttp) -> str:
    beats = HttpBeats(bad.url, "token", lambda _: None)
    heartbeat = Heartbeat(runner_id="r", pools=["p"], host="h", capacity=1, counter=1)
    with pytest.raises(NotAcknowledged) as trouble:
        await beats.send(heartbeat, PATIENCE_SECONDS)
    await beats.close()
    return str(trouble.value)


async def monitor(bad: BadHttp) -> str:
    with pytest.raises(MonitorUnavailable) as trouble:
        await server_facts(bad.url, PATIENCE_SECONDS)
    return str(trouble.value)


@pytest.mark.parametrize("exchange", [push, push_cancel, report, beat, monitor])
async def test_an_exchange_ends_in_time_and_takes_no_memory(
    bad: BadHttp, exchange: Callable[[BadHttp], Awaitable[str]]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with asyncio.timeout(BOUND_SECONDS):  # of the half second for all of it, on a busy machine
        assert await exchange(bad)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 48 * 1024
    assert bad.served < 64 * 1024 * 1024
    assert set(bad.accepted_encodings) == {"identity"}
    assert bad.asked == 1  # nothing is followed


async def test_a_runner_that_answers_nothing_takes_its_share_only() -> None:
    async with BadHttp("silent") as bad, push_client() as http:
        client = PushRunnerClient(http, bad.url, None, seconds=BOUND_SECONDS)
        share = 2 * adapters.runners.submission.SUBMITS
        waiting = [asyncio.create_task(client.submit(SUBMISSION, "default")) for _ in range(share)]
        await eventually(lambda: bad.asked == adapters.runners.submission.SUBMITS)
        with pytest.raises(Busy):
            await client.submit(SUBMISSION, "default")
        cancels = asyncio.create_task(client.cancel(new_id(), 1, "default"))  # has slots of its own
        await eventually(lambda: bad.asked == adapters.runners.submission.SUBMITS + 1)
        for task in (*waiting, cancels):
            task.cancel()
        await asyncio.gather(*waiting, cancels, return_exceptions=True)
        again = asyncio.create_task(client.submit(SUBMISSION, "default"))  # all slots are free again
        await eventually(lambda: bad.asked == adapters.runners.submission.SUBMITS + 2)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_a_proxy_of_the_environment_sees_no_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    async with BadHttp("redirect") as proxy, BadHttp("redirect", "http://127.0.0.1:9/") as bad:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        await push(bad)
        assert (proxy.asked, bad.asked) == (0, 1)
        async with httpx.AsyncClient() as http:  # what would have been
            await http.get(bad.url)
        assert proxy.asked == 1


@pytest.mark.parametrize("kind", ["trickle-body", "endless", "bomb", "redirect"])
async def test_a_client_command_does_not_read_for_ever(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infra.cli.client.http, "ANSWER_BYTES", 1024 * 1024)
    async with BadHttp(kind, "http://127.0.0.1:9/") as bad:

        def ask() -> None:
            with infra.cli.client.http.Api(bad.url, "token", answer_seconds=PATIENCE_SECONDS) as api:
                api.get("/tasks")

        async with asyncio.timeout(BOUND_SECONDS):
            with pytest.raises(CliError):
                await asyncio.to_thread(ask)
        assert (bad.asked, set(bad.accepted_encodings)) == (1, {"identity"})
        assert bad.served < 64 * 1024 * 1024
