"""What the design takes for granted about the server, one fact per test: no upgrade may break it silently."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError

from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from tests.support.nats import (
    EXPECT,
    EXPECT_FILTER,
    api,
    append,
    append_batch,
    cas,
    connect,
    direct_get_batch,
    subjects,
)
from tests.support.servers.cluster import Cluster
from tests.support.waiting import eventually

LOST_RACE, LOST_RACE_REPLICATED, DUPLICATE_IN_BATCH = 10071, 10164, 10201
RETRY_ANSWERS = {"duplicate", "10071", "10158"}


async def test_an_append_is_stored_under_its_lasting_subject(js_connection: Client):
    stored = await append(js_connection, "A", "created", 0, b'{"k": 1}', **{"ce-id": "1"})
    assert (stored.stream, stored.seq) == ("TOWPATH", 1)
    message = await js_connection.jetstream().get_msg("TOWPATH", 1)
    assert (message.subject, message.data) == ("towpath.task.A.created", b'{"k": 1}')
    assert message.headers is not None
    assert message.headers["ce-id"] == "1"


async def test_an_append_with_a_wrong_expectation_is_refused(js_connection: Client):
    await append(js_connection, "A", "created", 0)
    for expected in (0, 2):
        with pytest.raises(APIError) as refused:
            await append(js_connection, "A", "dispatched", expected)
        assert refused.value.err_code == LOST_RACE
    await append(js_connection, "B", "created", 0)
    await append(js_connection, "A", "dispatched", 1)
    assert await subjects(js_connection, "TOWPATH") == {
        "towpath.task.A.created": 1,
        "towpath.task.A.dispatched": 1,
        "towpath.task.B.created": 1,
    }


async def test_an_expectation_in_lower_case_is_ignored(js_connection: Client):
    """Why there is one append function and nobody else may publish to the log."""
    await append(js_connection, "A", "created", 0)
    ignored = {EXPECT.lower(): "0", EXPECT_FILTER.lower(): "towpath.task.A.*"}
    stored = await js_connection.jetstream().publish("towpath.append.task.A.failed", b"{}", headers=ignored)
    assert stored.seq == 2


async def test_the_check_is_about_stored_subjects(js_connection: Client):
    """A filter on the subject published to matches nothing, so every expectation of 0 passes."""
    await append(js_connection, "A", "created", 0)
    headers = {EXPECT: "0", EXPECT_FILTER: "towpath.append.task.A.*"}
    stored = await js_connection.jetstream().publish("towpath.append.task.A.failed", b"{}", headers=headers)
    assert stored.seq == 2


async def test_on_one_replica_the_retry_of_a_stored_append_looks_like_a_lost_race(js_connection: Client):
    """Why a conflict is compared with one's own `ce-id` before it is believed."""
    await append(js_connection, "A", "created", 0, **{"Nats-Msg-Id": "one"})
    with pytest.raises(APIError) as refused:
        await append(js_connection, "A", "created", 0, **{"Nats-Msg-Id": "one"})
    assert refused.value.err_code == LOST_RACE
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.A.created": 1}


async def test_a_batch_is_stored_as_a_whole(js_connection: Client):
    messages = [(f"towpath.append.task.{task}.created", cas("task", task, 0)) for task in "ABC"]
    answer = await append_batch(js_connection, "b1", messages)
    assert (answer["seq"], answer["count"]) == (3, 3)


async def test_one_refused_message_refuses_the_whole_batch(js_connection: Client):
    await append(js_connection, "B", "created", 0)
    messages = [(f"towpath.append.task.{task}.created", cas("task", task, 0)) for task in "ABC"]
    answer = await append_batch(js_connection, "b1", messages)
    assert answer["error"]["err_code"] == LOST_RACE
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.B.created": 1}


async def test_a_message_id_seen_before_refuses_the_batch(js_connection: Client):
    await append(js_connection, "A", "created", 0, **{"Nats-Msg-Id": "one"})
    messages = [
        ("towpath.append.task.B.created", cas("task", "B", 0)),
        ("towpath.append.task.A.dispatched", cas("task", "A", 1, **{"Nats-Msg-Id": "one"})),
    ]
    answer = await append_batch(js_connection, "b1", messages)
    assert answer["error"]["err_code"] == DUPLICATE_IN_BATCH
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.A.created": 1}


async def test_one_filter_twice_in_a_batch_is_not_checked(js_connection: Client):
    """Why a batch never holds two appends of one task: both pass the same expectation."""
    messages = [
        ("towpath.append.task.A.succeeded", cas("task", "A", 0)),
        ("towpath.append.task.A.failed", cas("task", "A", 0)),
    ]
    answer = await append_batch(js_connection, "b1", messages)
    assert answer["count"] == 2
    assert await subjects(js_connection, "TOWPATH") == {
        "towpath.task.A.failed": 1,
        "towpath.task.A.succeeded": 1,
    }


async def test_watchers_see_stored_facts_only(js_connection: Client):
    seen: list[tuple[str, str, str]] = []

    async def note(message: object) -> None:
        headers = message.headers
        seen.append((message.subject, headers["Nats-Sequence"], headers["ce-id"]))

    await js_connection.subscribe("towpath.task.>", cb=note)
    await js_connection.flush()
    await append(js_connection, "A", "created", 0, **{"ce-id": "1"})
    with pytest.raises(APIError):
        await append(js_connection, "A", "refused", 0, **{"ce-id": "2"})
    batch = [
        ("towpath.append.task.B.created", cas("task", "B", 0, **{"ce-id": "3"})),
        ("towpath.append.task.A.aborted", cas("task", "A", 0, **{"ce-id": "4"})),
    ]
    assert "error" in await append_batch(js_connection, "b1", batch)
    await append(js_connection, "A", "dispatched", 1, **{"ce-id": "5"})
    expected = [("towpath.task.A.created", "1", "1"), ("towpath.task.A.dispatched", "2", "5")]
    await eventually(lambda: len(seen) >= len(expected))
    assert seen == expected


async def test_a_publish_to_the_lasting_subject_is_not_stored(js_connection: Client):
    await append(js_connection, "A", "created", 0)
    await js_connection.publish("towpath.task.A.failed", b"{}")
    await js_connection.flush()
    assert await subjects(js_connection, "TOWPATH") == {"towpath.task.A.created": 1}


async def test_the_last_event_of_a_task_comes_from_the_leader(js_connection: Client):
    await append(js_connection, "A", "created", 0)
    await append(js_connection, "B", "created", 0)
    await append(js_connection, "A", "dispatched", 1)
    answer = await api(js_connection, "STREAM.MSG.GET.TOWPATH", {"last_by_subj": "towpath.task.A.*"})
    assert (answer["message"]["seq"], answer["message"]["subject"]) == (3, "towpath.task.A.dispatched")
    answer = await api(js_connection, "STREAM.MSG.GET.TOWPATH", {"last_by_subj": "towpath.task.C.*"})
    assert answer["error"]["code"] == 404


async def test_a_bounded_direct_get_reads_one_tasks_events(js_connection: Client):
    await append(js_connection, "A", "created", 0)
    await append(js_connection, "B", "created", 0)
    await append(js_connection, "A", "dispatched", 1)
    found = await direct_get_batch(js_connection, {"next_by_subj": "towpath.task.A.*", "seq": 1, "batch": 2})
    assert [(message.headers["Nats-Sequence"], message.headers["Nats-Subject"]) for message in found] == [
        ("1", "towpath.task.A.created"),
        ("3", "towpath.task.A.dispatched"),
    ]


async def test_a_message_holds_one_mebibyte(js_connection: Client):
    assert js_connection.max_payload == 1 << 20


async def _race(connections: list[Client], task: str, sequence: int) -> list[str]:
    """One append per connection at the same expectation: "stored", or the error code."""

    async def attempt(nc: Client, number: int) -> str:
        try:
            await append(nc, task, "running", sequence, str(number).encode())
        except APIError as refused:
            return str(refused.err_code)
        return "stored"

    return list(await asyncio.gather(*[attempt(nc, number) for number, nc in enumerate(connections)]))


async def test_on_three_replicas_exactly_one_of_three_writers_wins(nats_cluster: Cluster):
    connections = [await connect(url) for url in nats_cluster.urls]
    await ensure_streams(connections[0], replicas=3)
    for number in range(60):
        created = await append(connections[0], f"t{number}", "created", 0)
        outcomes = await _race(connections, f"t{number}", created.seq)
        assert outcomes.count("stored") == 1, outcomes
        assert set(outcomes) <= {"stored", str(LOST_RACE), str(LOST_RACE_REPLICATED)}
    stored = await subjects(connections[0], "TOWPATH")
    assert {count for subject, count in stored.items() if subject.endswith(".running")} == {1}
    for nc in connections:
        await nc.close()


async def test_on_three_replicas_the_retry_of_a_stored_append_is_a_duplicate_or_refused(
    nats_cluster: Cluster,
):
    nc = await connect(nats_cluster.urls)
    await ensure_streams(nc, replicas=3)

    async def retried() -> str:
        try:
            again = await append(nc, "A", "created", 0, **{"Nats-Msg-Id": "one"})
        except APIError as refused:
            return str(refused.err_code)
        return "duplicate" if again.duplicate else "stored"

    assert await retried() == "stored"
    assert {await retried() for _ in range(5)} <= RETRY_ANSWERS
    assert await subjects(nc, "TOWPATH") == {"towpath.task.A.created": 1}
    await nc.close()


async def test_an_append_survives_the_death_of_a_node(nats_cluster: Cluster):
    nc = await connect(nats_cluster.urls[:1])
    await ensure_streams(nc, replicas=3)
    await append(nc, "A", "created", 0)
    nats_cluster.nodes[2].kill()

    async def appended() -> bool:
        try:
            await append(nc, "A", "dispatched", 1, **{"Nats-Msg-Id": "x"})
        except APIError as refused:
            return refused.err_code in (LOST_RACE, LOST_RACE_REPLICATED)  # an earlier try was stored
        except Exception:
            return False
        return True

    await eventually(appended, 30)
    assert (await subjects(nc, "TOWPATH"))["towpath.task.A.dispatched"] == 1
    await nc.close()


async def test_a_durable_consumer_beyond_an_older_log_goes_on_with_what_is_new(tmp_path: Path) -> None:
    """Where the log's files are an older copy, the server takes its consumers back to the log's end."""
    server = EmbeddedNats(tmp_path / "data", 0)
    blocks = server.store / "TOWPATH" / "msgs"

    async def at_work(first: int, last: int, seen: list[int]) -> None:
        server.start()
        nc = await connect(server.control_url)
        await ensure_streams(nc)
        take = await nc.jetstream().pull_subscribe("towpath.task.>", durable="dispatch", stream="TOWPATH")
        for number in range(first, last):
            await append(nc, f"T{first}-{number}", "created", 0)
        for message in await take.fetch(last - first, timeout=10):
            seen.append(message.metadata.sequence.stream)
            await message.ack_sync()
        await nc.close()
        server.stop()

    seen: list[int] = []
    await at_work(0, 5, seen)
    shutil.copytree(blocks, tmp_path / "older")
    await at_work(5, 10, seen)
    shutil.rmtree(blocks)
    shutil.copytree(tmp_path / "older", blocks)
    await at_work(10, 13, seen)
    assert seen == [*range(1, 11), 6, 7, 8]
