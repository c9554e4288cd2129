"""`towpath doctor` against a real server and a real database: every finding, provoked."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from nats.aio.client import Client
from pydantic import SecretStr

import adapters.nats.client
import infra.doctor.broker
from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.client import READ_VERSIONS, Kind
from adapters.queues.dead_letter_budget import MOST_ALIKE
from adapters.queues.dead_letters import JetStreamDeadLetters
from adapters.queues.work_queue import JetStreamDueQueue, JetStreamEventQueue
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from adapters.runners.heartbeats import JetStreamHeartbeats
from domain.log.record import Recorded
from domain.ports.queues import Due
from domain.protocol import Heartbeat
from infra.config.settings import Settings
from infra.doctor.doctor import examine
from infra.doctor.examination import Patience, examining
from infra.doctor.finding import Finding
from infra.doctor.work import read_model
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from projections.attempt_timer import KIND
from projections.dispatch import ACTED_ON
from projections.read_model import ReadModelProjection
from tests.integration.projections.harness import ProjectionHarness
from tests.support.messages import now
from tests.support.nats import api
from tests.support.waiting import eventually

IMPATIENT = Patience(settle_seconds=0.5, asked_seconds=0.5, new_leader_seconds=0.1)


@pytest.fixture
def settings(nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path) -> Settings:
    return Settings(
        nats_url=nats_server.url,
        nats_user=nats_server.control.user,
        nats_password=SecretStr(nats_server.control.password or ""),
        data_dir=tmp_path / "data",
    )


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[ProjectionHarness]:
    async with ProjectionHarness(js_connection) as running:
        yield running


async def found(settings: Settings, check: str, **later: float) -> Finding:
    """The one finding of a check."""
    shift = timedelta(**later)
    findings = await examine(settings, lambda: now() + shift, IMPATIENT)
    assert all(finding.advice for finding in findings if finding.state != "ok")
    (finding,) = [one for one in findings if one.check == check]
    return finding


async def test_without_nats_the_rest_is_looked_at(settings: Settings, nats_server: EmbeddedNats) -> None:
    nats_server.stop()
    findings = await examine(settings, patience=IMPATIENT)
    assert [(one.check, one.state) for one in findings] == [("nats", "problem"), ("disk", "ok")]
    assert "towpath up" in findings[0].advice


async def test_a_guest_is_told_at_once_that_it_may_not_look(settings: Settings) -> None:
    guest = settings.model_copy(update={"nats_user": None, "nats_password": None})
    findings = await examine(guest, patience=IMPATIENT)
    assert [one.check for one in findings] == ["nats", "nats version", "nats client", "access"]
    assert "TOWPATH_NATS_PASSWORD" in findings[-1].advice


async def test_the_plain_client_is_a_warning_with_a_way_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(kind: Kind) -> Settings:
        return settings.model_copy(update={"nats_client": kind})

    assert (await found(asked("auto"), "nats client")).state == "ok"
    plain = await found(asked("plain"), "nats client")
    assert (plain.state, plain.found) == ("warning", "plain, as TOWPATH_NATS_CLIENT asks")
    for module in (adapters.nats.client, infra.doctor.broker):
        monkeypatch.setattr(module, "installed_version", lambda: "9.9.9")
    other = await found(asked("auto"), "nats client")
    assert (other.state, other.found.partition(":")[0]) == ("warning", "plain")
    assert READ_VERSIONS[0] in other.advice
    forced = await found(asked("fast"), "nats client")
    assert (forced.state, forced.found) == ("warning", "fast, which was not written for nats-py 9.9.9")


@pytest.mark.parametrize(("interval", "state"), [("always", "ok"), ("2m", "problem")])
async def test_a_server_that_does_not_sync_every_write(start_nats, settings, interval, state) -> None:
    server = start_nats(sync_interval=interval)
    asked = settings.model_copy(update={"nats_monitor_url": server.monitor_url})
    finding = await found(asked, "sync")
    assert finding.state == state
    assert (await found(settings, "sync")).state == "warning"


async def test_an_embedded_server_is_found_beside_the_files_of_killed_ones(
    nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path
) -> None:
    data_dir = nats_server._data_dir
    for pid in (1, os.getpid(), 99_999_999):
        left = {"nats": ["nats://127.0.0.1:1"], "monitoring": ["http://127.0.0.1:2"]}
        (data_dir / f"nats-server_{pid}.ports").write_text(json.dumps(left))
    (data_dir / "nats-server_2.ports").write_text("{")
    port = int(nats_server.url.rpartition(":")[2])
    database = f"sqlite:///{tmp_path / 'read-model.db'}"
    settings = Settings(data_dir=data_dir, nats_port=port, database_url=database)
    assert "in memory only" in (await found(settings, "sync")).found  # that of the test's own server


async def test_every_unsafe_setting_of_a_stream_is_named(settings: Settings, js_connection: Client) -> None:
    config = (await api(js_connection, "STREAM.INFO.TOWPATH_SUBMIT"))["config"]
    await api(js_connection, "STREAM.DELETE.TOWPATH_SUBMIT")
    await api(js_connection, "STREAM.CREATE.TOWPATH_SUBMIT", config | {"discard": "old", "max_age": 10**12})
    findings = [
        one for one in await examine(settings, patience=IMPATIENT) if one.check == "stream TOWPATH_SUBMIT"
    ]
    assert [one.state for one in findings] == ["problem", "problem"]
    assert ["discard" in findings[0].found, "max_age" in findings[1].found] == [True, True]


async def test_clocks_apart(settings: Settings) -> None:
    assert (await found(settings, "clock")).state == "ok"
    finding = await found(settings, "clock", seconds=60)
    assert (finding.state, "chrony" in finding.advice) == ("problem", True)
    assert (await found(settings, "clock", seconds=-60)).state == "problem"


async def test_consumers_missing_unserved_and_behind(
    settings: Settings, js_connection: Client, harness: ProjectionHarness
) -> None:
    finding = await found(settings, "dispatch")
    assert (finding.state, finding.found) == ("problem", "its consumer does not exist")
    assert "towpath projector" in finding.advice
    assert "towpath api" in (await found(settings, "reports over NATS")).advice

    async def take(_: Recorded | Due) -> None:
        """Nothing follows."""

    dead = JetStreamDeadLetters(js_connection)
    queue = JetStreamEventQueue(js_connection, dead, "dispatch", ACTED_ON)
    taking = harness.run(queue.consume(take))
    harness.run(JetStreamDueQueue(js_connection, dead, KIND).consume(take))

    async def served() -> bool:
        return (await found(settings, "dispatch")).state == "ok"

    await eventually(served)
    assert (await found(settings, "watchdog")).state == "ok"
    await harness.stop(taking)
    await harness.register()
    await harness.dispatch()

    async def unserved() -> bool:
        finding = await found(settings, "dispatch", seconds=60)
        return finding.state == "problem" and finding.found.startswith("no process asks for work; 1 message")

    await eventually(unserved)

    async def refuse(_: Recorded) -> None:
        raise RuntimeError("not now")

    harness.run(queue.consume(refuse))

    async def behind() -> bool:
        finding = await found(settings, "dispatch", seconds=60)
        return finding.state == "problem" and finding.found.startswith("1 message behind, the oldest for 6")

    await eventually(behind)


async def test_locks_without_a_projector(settings: Settings, harness: ProjectionHarness) -> None:
    await harness.register()
    assert (await found(settings, "locks")).found == "0 held, 0 waiting; nothing is due"
    first, second = await harness.dispatch("src"), await harness.dispatch("src")
    finding = await found(settings, "locks waiting")
    assert finding.state == "problem"
    assert "acme (2 wait" in finding.found
    assert first in finding.found
    assert "towpath projector" in finding.advice

    projecting = harness.run(harness.projector().run())
    await harness.until(("granted", first))
    assert (await found(settings, "locks")).found == "1 held, 1 waiting; nothing is due"
    await harness.stop(projecting)
    await harness.report(first)
    finding = await found(settings, "locks held")
    assert finding.state == "problem"
    assert "1 lock held though the attempt has ended" in finding.found
    assert first in finding.found
    assert "succeeded at" in finding.found
    harness.run(harness.projector().run())
    await harness.until(("granted", first), ("released", first), ("granted", second))
    assert (await found(settings, "locks")).state == "ok"


async def test_a_read_model_that_is_missing_behind_or_ahead(
    settings: Settings, harness: ProjectionHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be read" in (await found(settings, "read model")).found
    (tmp_path / "data").mkdir()
    engine = open_database(settings.read_model_url)
    await create_tables(engine)
    model = SqlReadModel(engine)
    await harness.register()
    await harness.dispatch()
    assert (await found(settings, "read model")).found.startswith("3 of 3 events behind")
    finding = await found(settings, "read model", seconds=60)
    assert (finding.state, "the oldest for 6" in finding.found) == ("problem", True)
    assert "towpath projector" in finding.advice
    await ReadModelProjection(harness.log.reader, model).replay(3)
    assert (await found(settings, "read model", seconds=60)).state == "ok"

    last_seq, asked = JetStreamLogReader.last_seq, []

    async def new_leader(reader: JetStreamLogReader) -> int:
        asked.append(await last_seq(reader))
        return asked[-1] - 1 if len(asked) < 3 else asked[-1]

    async with examining(settings, harness.connection, now) as about:
        with monkeypatch.context() as at_first:
            at_first.setattr(JetStreamLogReader, "last_seq", new_leader)
            (finding,) = await read_model(about)
    assert (finding.state, asked) == ("ok", [3, 3, 3])

    await api(harness.connection, "STREAM.DELETE.TOWPATH")
    await ensure_streams(harness.connection)
    assert "--rebuild" in (await found(settings, "read model")).advice
    await engine.dispose()


async def test_a_pool_without_a_live_runner(
    settings: Settings, harness: ProjectionHarness, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    engine = open_database(settings.read_model_url)
    await create_tables(engine)
    harness.run(ReadModelProjection(harness.log.reader, SqlReadModel(engine)).run())
    await harness.register()
    await harness.dispatch(pool="gpu")

    async def unserved() -> bool:
        finding = await found(settings, "pool gpu")
        assert finding.advice.startswith("start one: `towpath runner --pool gpu`")
        return finding.state == "problem"

    async def seen() -> bool:
        return any(one.check == "pool gpu" for one in await examine(settings, patience=IMPATIENT))

    await eventually(seen)
    assert await unserved()
    beat = Heartbeat(runner_id="r1", pools=["gpu"], host="h", capacity=1, counter=1)
    await JetStreamHeartbeats(harness.connection).publish(beat)
    assert (await found(settings, "pools")).state == "ok"
    assert (await found(settings, "pool gpu", seconds=60)).state == "problem"
    await engine.dispose()


async def test_heartbeats_that_fill_their_stream_are_told_of(
    settings: Settings, js_connection: Client
) -> None:
    assert (await found(settings, "heartbeats")).state == "ok"
    config = (await api(js_connection, "STREAM.INFO.TOWPATH_RUNNER"))["config"]
    await JetStreamHeartbeats(js_connection).publish(
        Heartbeat(runner_id="r1", pools=["gpu"], host="h" * 60, capacity=1, counter=1)
    )
    stored = (await api(js_connection, "STREAM.INFO.TOWPATH_RUNNER"))["state"]["bytes"]
    for limit, state in ((stored * 10, "ok"), (int(stored * 1.7), "warning"), (stored + 1, "problem")):
        await api(js_connection, "STREAM.UPDATE.TOWPATH_RUNNER", {**config, "max_bytes": limit})
        found_now = await found(settings, "heartbeats")
        assert found_now.state == state, found_now


async def test_dead_letters_are_counted_by_kind(settings: Settings, js_connection: Client) -> None:
    assert (await found(settings, "dead letters")).state == "ok"
    dead = JetStreamDeadLetters(js_connection)
    await dead.keep("report", "contradictory", b"{}", "stale-attempt", "…")
    assert (await found(settings, "dead letters")).state == "warning"
    await dead.remove(1)
    for number in range(3):
        await dead.keep("report", str(number), b"{}", "gave-up", "…")
    assert (await found(settings, "dead letters")).state == "problem"
    await dead.keep("submit", "x", b"{}", "invalid-submission", "…")
    finding = await found(settings, "dead letters")
    assert (finding.state, finding.found) == ("problem", "3 of kind report, 1 of kind submit")
    assert "towpath dead" in finding.advice


async def test_dead_letters_that_push_out_their_like_are_named(
    settings: Settings, js_connection: Client
) -> None:
    dead = JetStreamDeadLetters(js_connection)
    for number in range(MOST_ALIKE):
        await dead.keep("report", str(number), b"{}", "no-such-task", "…")
    finding = await found(settings, "dead letters")
    assert "of kind report, reason no-such-task, there are too many: older ones are dropped" in finding.found


async def test_holders_whose_runner_is_silent_or_lost(
    settings: Settings, js_connection: Client, harness: ProjectionHarness
) -> None:
    await harness.register()
    await harness.register("kept", "hold")
    harness.run(harness.projector().run())
    ends, kept = await harness.dispatch(), await harness.dispatch(workspace="kept")
    for task_id, workspace in ((ends, "acme"), (kept, "kept")):
        await eventually(
            partial(harness.view.granted, task_id, 1, workspace)
        )  # `report` proves a grant it has not seen
        await harness.report(task_id, "running")
    assert (await found(settings, "holders")).state == "ok", "a runner without heartbeats is never silent"
    beat = Heartbeat(runner_id="r1", pools=["default"], host="h", capacity=1, counter=1)
    await JetStreamHeartbeats(js_connection).publish(beat)
    assert (await found(settings, "holders")).state == "ok"
    silent = await found(settings, "silent runners", seconds=16)
    assert (silent.state, ends in silent.found, kept in silent.found) == ("warning", True, True)
    lost = await found(settings, "locks of lost runners", seconds=21)
    assert (lost.state, kept in lost.found, ends in lost.found) == ("problem", True, False)
    assert "towpath release" in lost.advice
    late = await found(settings, "lost runners", seconds=31)
    assert (late.state, kept in late.found, ends in late.found) == ("problem", False, True)
    assert "--only watchdog" in late.advice


async def test_a_holder_whose_runner_another_instance_has_followed(
    settings: Settings, js_connection: Client, harness: ProjectionHarness
) -> None:
    await harness.register("kept", "hold")
    harness.run(harness.projector().run())
    kept = await harness.dispatch(workspace="kept")
    await eventually(partial(harness.view.granted, kept, 1, "kept"))
    await harness.report(kept, "running", instance="first")
    for counter in range(1, 7):  # more than are kept
        beat = Heartbeat(
            runner_id="r1", pools=["default"], host="h", capacity=1, counter=counter, instance="second"
        )
        await JetStreamHeartbeats(js_connection).publish(beat)
    lost = await found(settings, "locks of lost runners", seconds=21)
    assert (lost.state, kept in lost.found) == ("problem", True)
