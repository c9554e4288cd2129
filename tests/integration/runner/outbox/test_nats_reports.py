"""Reports over NATS: what the broker cannot store now waits on the runner's disk, whatever code says so."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.js.api import RetentionPolicy, StreamConfig

from domain.protocol import Report, Submission
from infra.nats.binary import find_nats_server
from runner.nats_link import NatsLink
from runner.outbox.reporter import Reporter
from runner.outbox.transports import NatsReports
from runner.store.disk_guard import Storage
from runner.store.state import Key, OutboxRow, RunnerState
from tests.integration.runner.harness import DEADLINE, submission
from tests.support.nats import connect
from tests.support.ports import free_port
from tests.support.waiting import eventually

CONFIG = """\
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{directory}" }}
accounts {{ A {{ jetstream {{ max_file: 100000 }}, users: [{{ user: a, password: a }}] }} }}
no_auth_user: a
"""


@pytest.fixture
async def small_account(tmp_path: Path) -> AsyncIterator[Client]:
    """A server whose account may store 100 kB, with a stream `ELSE` and the one for reports."""
    port, config = free_port(), tmp_path / "nats.conf"
    config.write_text(CONFIG.format(port=port, directory=tmp_path / "js"))
    server = subprocess.Popen([find_nats_server(), "-c", config, "-l", tmp_path / "nats.log"])
    try:
        await eventually(lambda: "Server is ready" in _text(tmp_path / "nats.log"), DEADLINE)
        nc = await connect(f"nats://127.0.0.1:{port}")
        js = nc.jetstream()
        await js.add_stream(StreamConfig(name="ELSE", subjects=["else"]))
        work = RetentionPolicy.WORK_QUEUE
        await js.add_stream(
            StreamConfig(
                name="TOWPATH_REPORT", subjects=["towpath.report.*"], retention=work, max_msg_size=1500
            )
        )
        yield nc
        await nc.close()
    finally:
        server.kill()
        server.wait()


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


async def _fill(nc: Client) -> None:
    async def refused() -> bool:
        try:
            await nc.jetstream().publish("else", b"x" * 1000)
        except nats.js.errors.APIError as error:
            return error.err_code == 10002
        return False

    await eventually(refused, DEADLINE)


def _ended(state: RunnerState, message: str = "") -> str:
    sent = Submission.model_validate(submission(["true"]))
    state.accept(sent, "nats", Report(status="running", attempt=1))
    attempt = state.find(Key(sent.task_id, 1))
    assert attempt is not None
    state.end(attempt, "succeeded", Report(status="succeeded", attempt=1, message=message))
    return sent.task_id


async def test_reports_wait_while_the_account_is_full(tmp_path: Path, small_account: Client) -> None:
    link = NatsLink(small_account.connected_url.geturl(), {}, "runner")
    await link.start()
    with closing(RunnerState(tmp_path / "state")) as state:
        _ended(state, "m" * 1000)
        await _fill(small_account)
        reporter = Reporter(state, Storage(state, 0), {"nats": NatsReports(link)}, drain_seconds=0)
        await reporter.start()
        try:
            await eventually(lambda: "resource limits" in reporter.troubles().get("nats", ""), DEADLINE)
            assert state.outbox_depth() > 0
            await small_account.jetstream().purge_stream("ELSE")
            reporter.hurry()
            await eventually(lambda: state.outbox_depth() == 0, DEADLINE)
        finally:
            await reporter.stop()
            await link.stop()
    stored = await small_account.jetstream().stream_info("TOWPATH_REPORT")
    assert stored.state.messages == 2


async def test_an_end_that_is_too_large_for_the_stream_goes_without_its_text(small_account: Client) -> None:
    link = NatsLink(small_account.connected_url.geturl(), {}, "runner")
    await link.start()
    try:
        body = Report(status="succeeded", attempt=1, message="m" * 2000, output_tail="t").model_dump_json()
        row = OutboxRow(1, Key("t", 1), "nats", body, None, None, None, "id")
        assert (await NatsReports(link).send(row)).outcome == "accepted"
    finally:
        await link.stop()
    stored = await small_account.jetstream().get_last_msg("TOWPATH_REPORT", "towpath.report.t")
    assert stored.data == b'{"status":"succeeded","attempt":1}'


async def test_a_report_that_the_stream_will_never_take_is_refused(small_account: Client) -> None:
    link = NatsLink(small_account.connected_url.geturl(), {}, "runner")
    await link.start()
    try:
        body = Report(status="succeeded", attempt=1).model_dump_json()
        row = OutboxRow(1, Key("t", 1), "nats", body, None, "t" * 2000, None, "id")
        assert (await NatsReports(link).send(row)).outcome == "rejected"
    finally:
        await link.stop()
