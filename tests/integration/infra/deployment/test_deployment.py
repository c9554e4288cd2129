"""The deployment's own NATS files on real servers: TLS holds, each role can do its job, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client

from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.protocol import Heartbeat
from infra.audit.verification import VerifyOptions, verify
from infra.composition import open_checkpoint_signer, open_core
from infra.doctor.doctor import examine
from infra.doctor.examination import Patience
from infra.nats.accounts import LOG_CONSUMERS
from infra.nats.connection import NatsUnavailable, connect
from infra.nats.streams import ensure_streams
from tests.bench.load.history import History
from tests.support.nats import api, append, direct_get_batch, subjects
from tests.support.servers.deployment import Deployed, deployed_cluster, deployed_node
from tests.support.waiting import eventually

READERS = ("auditor", "ops")
EVERYBODY_ELSE = ("runner", "auditor", "ops")
As = Callable[[str], object]


class Refusals:
    """What the server refused to one connection."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def note(self, error: Exception) -> None:
        self.said.append(str(error))


@contextlib.asynccontextmanager
async def coming_as(deployed: Deployed, user: str) -> AsyncIterator[tuple[Client, Refusals]]:
    refusals = Refusals()
    connection = await eventually(lambda: _connected(deployed, user, refusals), 30)
    try:
        yield connection, refusals
    finally:
        await connection.close()


async def _connected(deployed: Deployed, user: str, refusals: Refusals) -> Client | None:
    try:
        return await connect(deployed.settings(user), f"test-{user}", error_cb=refusals.note)
    except NatsUnavailable:
        return None  # still starting


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Deployed]:
    with deployed_node(tmp_path) as deployed:
        async with coming_as(deployed, "towpath") as (control, _):
            await ensure_streams(control)
        yield deployed


async def refused(connection: Client, refusals: Refusals, subject: str) -> None:
    before = len(refusals.said)
    await connection.publish(subject, b"{}")
    await connection.flush()
    await eventually(lambda: len(refusals.said) > before, 5)
    assert subject.lower() in refusals.said[-1]


async def forge(reader: Client, number: int, target: str) -> None:
    """Make a push consumer that delivers to `target`."""
    name = f"forger{number}"
    config = {"name": name, "deliver_subject": target, "ack_policy": "none", "filter_subject": ">"}
    await api(reader, f"CONSUMER.CREATE.TOWPATH.{name}.>", {"stream_name": "TOWPATH", "config": config})


NOBODY_ELSE_MAY = (
    "towpath.append.task.A.created",
    "towpath.append.lock.w.granted",
    "towpath.append.checkpoint.1",
    "towpath.task.A.created",
    "towpath.lock.w.granted",
    "towpath.workspace.w.registered",
    "towpath.checkpoint.1",
    "towpath.submit.default",
    "towpath.timer.at.deadline.A.1",
    "towpath.dead.report.A",
    "towpath.dead.submit.A",
    "$JS.API.STREAM.CREATE.X",
    "$JS.API.STREAM.UPDATE.TOWPATH",
    "$JS.API.STREAM.DELETE.TOWPATH",
    "$JS.API.STREAM.PURGE.TOWPATH",
    "$JS.API.STREAM.MSG.DELETE.TOWPATH",
    "$JS.API.STREAM.MSG.GET.TOWPATH_SUBMIT",
    "$JS.API.STREAM.MSG.GET.TOWPATH_REPORT",
    "$JS.API.STREAM.MSG.GET.TOWPATH_DEAD",
    "$JS.API.CONSUMER.CREATE.TOWPATH_REPORT.x",
    "$JS.API.CONSUMER.CREATE.TOWPATH_REPORT.x.>",
    "$JS.API.CONSUMER.CREATE.TOWPATH",
    "$JS.API.CONSUMER.CREATE.TOWPATH.x",
    "$JS.API.CONSUMER.DURABLE.CREATE.TOWPATH.x",
    "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT",
    "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT.x",
    "$JS.API.CONSUMER.DURABLE.CREATE.TOWPATH_SUBMIT.x",
    *[f"$JS.API.CONSUMER.CREATE.TOWPATH.{name}.towpath.task.>" for name in LOG_CONSUMERS],
    *[f"$JS.API.CONSUMER.DELETE.TOWPATH.{name}" for name in LOG_CONSUMERS],
    *[f"$JS.API.CONSUMER.MSG.NEXT.TOWPATH.{name}" for name in LOG_CONSUMERS],
)

READERS_MAY_NOT = (
    "towpath.report.A",
    "towpath.runner.r1",
    "towpath.dead.submit.unreadable",
    "$JS.API.CONSUMER.CREATE.TOWPATH_SUBMIT.default.towpath.submit.default",
    "$JS.API.CONSUMER.MSG.NEXT.TOWPATH_SUBMIT.default",
    "$JS.API.CONSUMER.DELETE.TOWPATH.x",
    "$JS.ACK.TOWPATH.x.1.1.1.1.0",
    "$JS.ACK.TOWPATH_SUBMIT.default.1.1.1.1.0",
)


@pytest.mark.parametrize("user", EVERYBODY_ELSE)
async def test_only_the_control_plane_writes_to_the_log(node: Deployed, user: str) -> None:
    async with coming_as(node, user) as (connection, refusals):
        for subject in NOBODY_ELSE_MAY:
            await refused(connection, refusals, subject)
    async with coming_as(node, "towpath") as (control, refusals):
        await append(control, "A", "created", 0)
        assert refusals.said == []


@pytest.mark.parametrize("user", READERS)
async def test_who_reads_writes_nothing_anywhere(node: Deployed, user: str) -> None:
    async with coming_as(node, "towpath") as (control, _), coming_as(node, user) as (reader, refusals):
        await append(control, "A", "created", 0)
        for subject in READERS_MAY_NOT:
            await refused(reader, refusals, subject)
        asked = ("$JS.API.STREAM.INFO.TOWPATH", "$JS.API.STREAM.MSG.GET.TOWPATH")
        for target in ("towpath.append.task.V.failed", "towpath.report.V", "towpath.submit.default"):
            for subject in asked:
                await reader.publish(subject, b'{"seq": 1}', reply=target)
        for number, target in enumerate(("towpath.report.V", "towpath.submit.default", "towpath.dead.x")):
            await forge(reader, number, target)
        await append(control, "B", "created", 0)
        await api(reader, "STREAM.INFO.TOWPATH")
        stored = {
            name: await subjects(control, f"TOWPATH{name}") for name in ("", "_REPORT", "_SUBMIT", "_DEAD")
        }
        assert stored == {
            "": {"towpath.task.A.created": 1, "towpath.task.B.created": 1},
            "_REPORT": {},
            "_SUBMIT": {},
            "_DEAD": {},
        }


@pytest.mark.parametrize("user", READERS)
async def test_readers_watch_facts_and_read_all_that_stands(node: Deployed, user: str) -> None:
    seen: list[str] = []

    async def note(message) -> None:
        seen.append(message.subject)

    async with coming_as(node, "towpath") as (control, _), coming_as(node, user) as (reader, _):
        await reader.subscribe("towpath.>", cb=note)
        await reader.flush()
        js = control.jetstream()
        await js.publish("towpath.submit.default", b"secret")
        await js.publish("towpath.report.A", b"secret")
        await js.publish("towpath.runner.r1", b"{}")
        await append(control, "A", "created", 0)
        await eventually(lambda: "towpath.task.A.created" in seen)
        assert set(seen) == {"towpath.task.A.created"} | ({"towpath.runner.r1"} if user == "ops" else set())
        assert (await reader.jetstream().get_msg("TOWPATH", 1)).subject == "towpath.task.A.created"
        batch = await direct_get_batch(reader, {"next_by_subj": "towpath.>", "seq": 1, "batch": 10})
        assert len(batch) == 1


async def test_an_auditor_can_verify_the_whole_log(node: Deployed) -> None:
    control = node.settings("towpath", checkpoint_events=50, nats_sync_interval="2m")
    async with open_core(control, "test") as core:
        history = History(core.connection, "w", 5)
        await history.register()
        await history.lives(5)
        async with open_checkpoint_signer(core) as signer:
            while await signer.sign_due():
                pass
    report = await verify(node.settings("auditor"), VerifyOptions(read_model=False), lambda done, total: None)
    assert (report.findings, report.events > 20) == ([], True)


async def test_ops_can_examine_everything(node: Deployed) -> None:
    impatient = Patience(settle_seconds=0.2, asked_seconds=0.2)
    async with open_core(node.settings("towpath"), "test") as core:
        beat = Heartbeat(runner_id="r1", pools=["default"], host="h", capacity=1, counter=1)
        await JetStreamHeartbeats(core.connection).publish(beat)
        await append(core.connection, "A", "created", 0)
        await core.connection.jetstream().publish("towpath.report.A", b"{}")
        for stream, name in (("TOWPATH_REPORT", "report-intake"), ("TOWPATH", "dispatch")):
            config = {"durable_name": name, "ack_policy": "explicit"}
            await api(
                core.connection,
                f"CONSUMER.DURABLE.CREATE.{stream}.{name}",
                {"stream_name": stream, "config": config},
            )
    as_control = await examine(node.settings("towpath"), patience=impatient)
    as_ops = await examine(node.settings("ops"), patience=impatient)

    def essence(findings):
        return [(one.check, one.state) for one in findings]

    assert essence(as_ops) == essence(as_control)
    assert [one for one in as_ops if "cannot be examined" in one.found] == []
    assert "1 message behind" in next(one.found for one in as_ops if one.check == "reports over NATS")


async def test_a_runner_does_its_work(node: Deployed) -> None:
    async with coming_as(node, "towpath") as (control, _), coming_as(node, "runner") as (runner, refusals):
        await control.jetstream().publish("towpath.submit.default", b"work")
        js = runner.jetstream()
        take = await js.pull_subscribe("towpath.submit.default", durable="default", stream="TOWPATH_SUBMIT")
        await (await take.fetch(1, timeout=5))[0].ack_sync()
        await js.publish("towpath.runner.r1", b"1")
        await js.publish("towpath.report.A", b"{}")
        assert await subjects(control, "TOWPATH_REPORT") == {"towpath.report.A": 1}
        assert refusals.said == []


async def test_nobody_comes_in_without_a_password(node: Deployed) -> None:
    with pytest.raises(NatsUnavailable):
        await connect(node.settings("ops").model_copy(update={"nats_user": None, "nats_password": None}), "x")


async def test_three_servers_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with deployed_cluster(tmp_path) as cluster:
        async with coming_as(cluster, "towpath") as (control, _):
            assert await eventually(lambda: _made_streams(control), 30)
            assert (await api(control, "STREAM.INFO.TOWPATH"))["config"]["num_replicas"] == 3
            await append(control, "A", "created", 0)
            for user in EVERYBODY_ELSE:
                async with coming_as(cluster, user) as (other, refusals):
                    assert (await other.jetstream().get_msg("TOWPATH", 1)).subject == "towpath.task.A.created"
                    await refused(other, refusals, "towpath.append.task.B.created")
                    if user != "runner":
                        await refused(other, refusals, "towpath.report.A")
        untrusting = cluster.settings("ops").model_copy(update={"nats_ca": None})
        with pytest.raises(NatsUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await connect(untrusting, "without the authority", seconds=2.0)


async def _made_streams(control: Client) -> bool:
    try:
        await ensure_streams(control, 3)
    except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
        return False  # no leader yet
    return True


INGESTED = (
    "towpath.runner.r1",
    "towpath.report.A",
    "towpath.submit.default",
    "towpath.dead.report.A",
    "towpath.timer.due.attempt.A.1",
    "towpath.timer.at.attempt.A.1",
    "towpath.append.checkpoint.1",
    "towpath.append.task.V.failed",
)
BESIDE_THE_LOG = ("REPORT", "SUBMIT", "DEAD", "TIMER", "RUNNER", "CHECKPOINT")


@pytest.mark.parametrize("user", EVERYBODY_ELSE)
async def test_no_consumer_delivers_into_a_stream(node: Deployed, user: str) -> None:
    """A push consumer delivers where its maker listens: with an ingested subject it would be stored there."""
    async with coming_as(node, "towpath") as (control, _), coming_as(node, user) as (reader, _):
        for subject in INGESTED:
            await reader.subscribe(subject)
        await reader.flush()
        heard = await reader.subscribe("towpath.task.V.failed")
        await reader.flush()
        for number, target in enumerate((*INGESTED, "towpath.task.V.failed")):
            await forge(reader, number, target)
        await append(control, "A", "created", 0)
        assert (await heard.next_msg(10)).subject == "towpath.task.A.created"  # the last one has delivered
        for _ in range(5):
            await api(control, "STREAM.INFO.TOWPATH")
        for name in BESIDE_THE_LOG:
            assert (await api(control, f"STREAM.INFO.TOWPATH_{name}"))["state"]["last_seq"] == 0, name
        assert await subjects(control, "TOWPATH") == {"towpath.task.A.created": 1}
