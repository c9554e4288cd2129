"""`ensure_streams` against the real server: creates, keeps, updates what is harmless, refuses the rest."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from domain.subjects import Stream
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.stream_definitions import stream_definitions
from infra.nats.streams import StreamError, UnsafeStream, check_streams, ensure_streams
from tests.support.nats import api, append, connect
from tests.support.servers.cluster import Cluster, running_cluster
from tests.support.waiting import eventually

IMPLIED = {
    "allow_msg_schedules": {"deny_purge", "allow_rollup_hdrs", "discard"},
    "allow_rollup_hdrs": {"deny_purge"},
}
"""What the server turns on or off together with a setting."""

NAMES = [definition.name for definition in stream_definitions()]


async def _config(nc: Client, stream: str) -> dict[str, Any]:
    config: dict[str, Any] = (await api(nc, f"STREAM.INFO.{stream}"))["config"]
    return config


async def _change(nc: Client, stream: str, **changes: Any) -> None:
    answer = await api(nc, f"STREAM.UPDATE.{stream}", {**await _config(nc, stream), **changes})
    assert "error" not in answer, json.dumps(answer)


async def _bare(nats_server: EmbeddedNats) -> Client:
    return await connect(nats_server.control_url)


async def test_all_streams_exist_with_every_setting_as_defined(js_connection: Client):
    for definition in stream_definitions():
        config = await _config(js_connection, definition.name)
        stored = {name: config.get(name) for name in definition.config()}
        assert stored == dict(definition.config())


async def test_the_log_can_only_grow(js_connection: Client):
    await append(js_connection, "A", "created", 0)
    for verb, body in (("MSG.DELETE", {"seq": 1}), ("PURGE", {})):
        answer = await api(js_connection, f"STREAM.{verb}.{Stream.LOG}", body)
        assert answer["error"]["code"] in (400, 500), json.dumps(answer)
    config = await _config(js_connection, Stream.LOG)
    answer = await api(js_connection, f"STREAM.UPDATE.{Stream.LOG}", {**config, "deny_purge": False})
    assert "deny purge" in answer["error"]["description"]
    assert (await api(js_connection, f"STREAM.INFO.{Stream.LOG}"))["state"]["messages"] == 1


async def test_a_second_run_changes_nothing_and_many_at_once_agree(nats_server: EmbeddedNats):
    connections = [await _bare(nats_server) for _ in range(4)]
    await asyncio.gather(*[ensure_streams(nc, max_bytes=1 << 30) for nc in connections])
    before = [await _config(connections[0], name) for name in NAMES]
    await ensure_streams(connections[0], max_bytes=1 << 30)
    assert [await _config(connections[0], name) for name in NAMES] == before
    for nc in connections:
        await nc.close()


@pytest.mark.parametrize(
    ("stream", "harmless"),
    [
        (Stream.LOG, {"allow_atomic": False}),
        (Stream.LOG, {"allow_direct": False}),
        (Stream.LOG, {"duplicate_window": 1_000_000_000}),
        (Stream.LOG, {"description": "mine"}),
        ("TOWPATH_DEAD", {"max_age": 3_600_000_000_000}),
    ],
)
async def test_harmless_settings_are_brought_back(
    js_connection: Client, stream: str, harmless: dict[str, Any]
):
    before = await _config(js_connection, stream)
    await _change(js_connection, stream, **harmless)
    await ensure_streams(js_connection)
    assert await _config(js_connection, stream) == before


async def test_what_an_operator_added_stays(js_connection: Client):
    await _change(js_connection, Stream.LOG, metadata={"team": "ops"}, max_bytes=1 << 20)
    await ensure_streams(js_connection)
    config = await _config(js_connection, Stream.LOG)
    assert (config["metadata"]["team"], config["max_bytes"]) == ("ops", 1 << 20)
    await ensure_streams(js_connection, max_bytes=1 << 21)
    assert (await _config(js_connection, Stream.LOG))["max_bytes"] == 1 << 21


async def test_every_stream_beside_the_log_has_a_bound_that_is_small(js_connection: Client):
    """They share the log's disk. What their bounds leave them is reserved when a stream is made."""
    for name in NAMES:
        most = (await _config(js_connection, name)).get("max_bytes", -1)
        assert (
            most == -1
            if name in (Stream.LOG, "TOWPATH_TIMER", "TOWPATH_CHECKPOINT")
            else 0 < most <= 128 << 20
        )
    account = await api(js_connection, "INFO")
    assert account["reserved_storage"] <= 512 << 20


async def test_a_log_of_before_gets_the_small_bounds(js_connection: Client):
    for name in ("TOWPATH_REPORT", "TOWPATH_DEAD"):
        await _change(js_connection, name, max_bytes=1 << 30)
    await _change(js_connection, "TOWPATH_SUBMIT", max_bytes=-1)
    await js_connection.jetstream().publish("towpath.report.x", b"kept")
    await ensure_streams(js_connection)
    for definition in stream_definitions():
        wanted = definition.settings.get("max_bytes", -1)
        assert (await _config(js_connection, definition.name)).get("max_bytes", -1) == wanted
    assert (await api(js_connection, "STREAM.INFO.TOWPATH_REPORT"))["state"]["messages"] == 1


async def test_heartbeats_of_before_learn_to_expire(nats_server: EmbeddedNats):
    """A goodbye has a time to live, which the stream of an earlier version did not take."""
    nc = await _bare(nats_server)
    (runners,) = [one for one in stream_definitions() if one.name == Stream.RUNNER]
    config = {**runners.config(), "allow_msg_ttl": False}
    assert "error" not in await api(nc, f"STREAM.CREATE.{Stream.RUNNER}", config)
    await ensure_streams(nc)
    assert (await _config(nc, Stream.RUNNER))["allow_msg_ttl"] is True
    await nc.close()


async def test_heartbeats_of_before_are_not_driven_out_any_more(js_connection: Client):
    await _change(js_connection, Stream.RUNNER, discard="old")
    await js_connection.jetstream().publish("towpath.runner.r1", b"kept")
    await ensure_streams(js_connection)
    assert (await _config(js_connection, Stream.RUNNER))["discard"] == "new"
    assert (await api(js_connection, "STREAM.INFO.TOWPATH_RUNNER"))["state"]["messages"] == 1


async def test_a_client_library_that_rewrote_the_log_is_noticed(js_connection: Client):
    await _change(js_connection, Stream.LOG, allow_atomic=False, allow_direct=False, discard="old")
    with pytest.raises(
        UnsafeStream, match=r"stream TOWPATH: discard is \"old\", must be \"new\".*towpath verify"
    ):
        await ensure_streams(js_connection)


@pytest.mark.parametrize(
    ("stream", "setting", "value"),
    [
        (Stream.LOG, "deny_delete", False),
        (Stream.LOG, "deny_purge", False),
        (Stream.LOG, "allow_msg_schedules", True),
        (Stream.LOG, "allow_rollup_hdrs", True),
        (Stream.LOG, "allow_msg_ttl", True),
        (Stream.LOG, "max_age", 3_600_000_000_000),
        (Stream.LOG, "max_msgs", 1000),
        (Stream.LOG, "max_msgs_per_subject", 5),
        (Stream.LOG, "republish", None),
        (Stream.LOG, "subject_transform", None),
        (Stream.LOG, "subjects", ["towpath.append.task.>"]),
        (Stream.LOG, "storage", "memory"),
        (Stream.LOG, "retention", "interest"),
        (Stream.LOG, "persist_mode", "async"),
        ("TOWPATH_SUBMIT", "retention", "limits"),
        ("TOWPATH_REPORT", "discard", "old"),
        ("TOWPATH_REPORT", "subjects", ["towpath.report.>"]),
        ("TOWPATH_TIMER", "max_age", 3_600_000_000_000),
        ("TOWPATH_RUNNER", "max_msgs_per_subject", 2),
    ],
)
async def test_a_stream_made_unsafe_stops_the_start(
    js_connection: Client, stream: str, setting: str, value: Any
):
    await _make(js_connection, stream, **{setting: value})
    before = await _config(js_connection, stream)
    with pytest.raises(UnsafeStream) as unsafe:
        await ensure_streams(js_connection)
    assert unsafe.value.stream == stream
    assert unsafe.value.setting in {setting, *IMPLIED.get(setting, ())}
    assert "towpath verify" in str(unsafe.value) or "another program" in str(unsafe.value)
    assert await _config(js_connection, stream) == before


async def _make(nc: Client, stream: str, **settings: Any) -> None:
    """Delete `stream` and make it again, with `settings` instead of the right ones."""
    definition = next(found for found in stream_definitions() if found.name == stream)
    await api(nc, f"STREAM.DELETE.{stream}")
    config = {**definition.config(), **settings}
    if settings.get("allow_msg_schedules"):
        config |= {"deny_purge": False, "discard": "old"}
    if settings.get("allow_rollup_hdrs"):
        config["deny_purge"] = False
    if settings.get("persist_mode"):
        config["allow_atomic"] = False
    answer = await api(nc, f"STREAM.CREATE.{stream}", config)
    assert "error" not in answer, json.dumps(answer)


async def test_looking_names_what_is_wrong_and_changes_nothing(js_connection: Client):
    assert await check_streams(js_connection) == {name: [] for name in NAMES}
    await api(js_connection, "STREAM.DELETE.TOWPATH_DEAD")
    await _change(js_connection, Stream.LOG, max_bytes=1 << 20)
    await _change(js_connection, "TOWPATH_REPORT", max_msg_size=10)
    await _make(js_connection, "TOWPATH_SUBMIT", discard="old", max_age=3_600_000_000_000)
    before = await _config(js_connection, "TOWPATH_REPORT")
    found = await check_streams(js_connection)
    assert {name: [fault.found for fault in faults] for name, faults in found.items() if faults} == {
        "TOWPATH_DEAD": ["does not exist"],
        "TOWPATH_REPORT": ["max_msg_size is 10, should be 131072"],
        "TOWPATH_SUBMIT": [
            'discard is "old", must be "new"',
            "max_age is 3600000000000, must be null",
        ],
    }
    assert all(fault.advice for faults in found.values() for fault in faults)
    assert await _config(js_connection, "TOWPATH_REPORT") == before


async def test_another_streams_claim_to_our_subjects_is_named(nats_server: EmbeddedNats):
    nc = await _bare(nats_server)
    await api(nc, "STREAM.CREATE.ALIEN", {"name": "ALIEN", "subjects": ["towpath.append.>"]})
    with pytest.raises(UnsafeStream, match="in use by another stream"):
        await ensure_streams(nc)
    await nc.close()


async def test_a_refusal_says_what_to_check(nats_server: EmbeddedNats):
    nc = await _bare(nats_server)
    with pytest.raises(StreamError, match="cluster's size"):
        await ensure_streams(nc, replicas=3)
    await nc.close()


async def test_a_cluster_that_is_only_just_starting_is_waited_for(tmp_path: Path):
    with running_cluster(tmp_path) as cluster:
        nc = await connect(cluster.urls, error_cb=_ignore)
        await ensure_streams(nc, replicas=3)
        assert (await _config(nc, Stream.LOG))["num_replicas"] == 3
        await nc.close()


async def test_replicas_are_raised_but_never_lowered(nats_cluster: Cluster):
    nc = await connect(nats_cluster.urls)
    await ensure_streams(nc, replicas=1)
    await ensure_streams(nc, replicas=3)
    await ensure_streams(nc, replicas=1)
    for name in NAMES:
        assert (await _config(nc, name))["num_replicas"] == 3
    await eventually(lambda: _in_sync(nc), 30)
    await nc.close()


async def _in_sync(nc: Client) -> bool:
    peers = (await api(nc, f"STREAM.INFO.{Stream.LOG}"))["cluster"].get("replicas", [])
    return len(peers) == 2 and all(peer.get("current") for peer in peers)


async def _ignore(_: Exception) -> None:
    """Not every server listens yet."""
