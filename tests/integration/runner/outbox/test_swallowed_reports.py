"""Message ids on NATS: what another sender stores under an id never takes the place of a report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from domain.protocol import Report
from infra.nats.embedded_server import EmbeddedNats
from runner.nats_link import NatsLink
from runner.outbox.transports import NatsReports
from runner.service import RunnerService
from runner.store.state import Key, OutboxRow
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import DEADLINE, NatsControlPlane, submission
from tests.support.messages import new_id
from tests.support.nats import api, connect
from tests.support.servers.nats_proxy import DROP, PASS, NatsProxy
from tests.support.waiting import eventually

JUNK = b'{"status": "junk"}'


@pytest.fixture
async def guest(nats_server: EmbeddedNats, js_connection: Client) -> AsyncIterator[Client]:
    nc = await connect(nats_server.url)
    yield nc
    await nc.close()


def ended(message_id: str) -> OutboxRow:
    body = Report(status="succeeded", attempt=1).model_dump_json(exclude_none=True)
    return OutboxRow(1, Key(new_id(), 1), "nats", body, None, None, None, message_id)


async def reports(nc: Client) -> list[tuple[str, bytes]]:
    """What is stored on the queue of reports: ids and bodies."""
    last = (await api(nc, "STREAM.INFO.TOWPATH_REPORT"))["state"]["last_seq"]
    found = [await nc.jetstream().get_msg("TOWPATH_REPORT", seq) for seq in range(1, last + 1)]
    return [((one.headers or {})["Nats-Msg-Id"], one.data or b"") for one in found]


async def test_a_first_send_that_is_called_a_duplicate_goes_out_under_another_id(
    nats_server: EmbeddedNats, js_connection: Client, guest: Client
) -> None:
    row = ended("known")
    subject = f"towpath.report.{row.key.task_id}"
    await guest.jetstream().publish(subject, JUNK, headers={"Nats-Msg-Id": "known"})
    link = NatsLink(nats_server.runner_url, {}, "runner")
    await link.start()
    try:
        assert (await NatsReports(link).send(row)).outcome == "accepted"
    finally:
        await link.stop()
    (first_id, first), (second_id, second) = await reports(js_connection)
    assert (first_id, first) == ("known", JUNK)
    assert second == row.body.encode()
    assert second_id != "known"


async def test_a_repetition_is_stored_once(nats_server: EmbeddedNats, js_connection: Client) -> None:
    lost: list[bytes] = []

    def lose_one(frame: bytes) -> str:
        if b'"stream":"TOWPATH_REPORT"' in frame and not lost:
            lost.append(frame)
            return DROP
        return PASS

    async with NatsProxy(nats_server.runner_url) as proxy:
        proxy.rule = lose_one
        link = NatsLink(proxy.url, {}, "runner")
        await link.start()
        transport, row = NatsReports(link, seconds=0.5), ended("mine")
        try:
            assert (await transport.send(row)).outcome == "blocked"
            assert (await transport.send(row)).outcome == "accepted"
        finally:
            await link.stop()
    assert await reports(js_connection) == [("mine", row.body.encode())]


async def test_a_guest_that_knows_task_and_runner_swallows_nothing(
    nats_server: EmbeddedNats,
    nats_control: NatsControlPlane,
    guest: Client,
    start_runner: StartRunner,
    tmp_path: Path,
) -> None:
    service: RunnerService = await start_runner(nats_url=nats_server.runner_url, intake_port=None)
    go = tmp_path / "go"
    nats_control.deaf_to = {"junk"}
    waiting = ["sh", "-c", f"until [ -e {go} ]; do sleep 0.05; done; echo built"]
    task_id = await nats_control.submit(submission(waiting))
    await eventually(lambda: "running" in nats_control.said(task_id), DEADLINE)
    for status in ("running", "succeeded", "failed", "canceled"):
        for guess in (f"{task_id}.1.{status}.{service.runner_id}", f"{task_id}.1.{status}"):
            headers = {"Nats-Msg-Id": guess}
            await guest.jetstream().publish(f"towpath.report.{task_id}", JUNK, headers=headers)
    go.touch()
    await eventually(lambda: _ends(nats_control, task_id) == [("succeeded", "built\n")], DEADLINE)
    mine = [one["headers"]["Nats-Msg-Id"] for one in nats_control.reports if one["status"] != "junk"]
    assert len({*mine}) == 3
    assert not [one for one in mine if task_id in one or service.runner_id in one]


def _ends(nats_control: NatsControlPlane, task_id: str) -> list[tuple[str, str]]:
    mine = [one for one in nats_control.reports if one["task_id"] == task_id]
    return [(one["status"], one["output_tail"]) for one in mine if "output_tail" in one]
