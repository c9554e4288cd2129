"""Deadlines as scheduled messages: each fires once, is taken once and leaves nothing behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js.client import JetStreamContext
from nats.js.errors import APIError

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import api, connect, subjects

TIMER = "TOWPATH_TIMER"


async def _schedule(nc: Client, task: str, seconds: float, body: bytes = b"{}") -> None:
    at = (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    await nc.jetstream().publish(
        f"towpath.timer.at.deadline.{task}.1",
        body,
        headers={
            "Nats-Schedule": f"@at {at}",
            "Nats-Schedule-Target": f"towpath.timer.due.deadline.{task}.1",
            "ce-id": f"timer-{task}",
        },
    )


async def _due(nc: Client) -> JetStreamContext.PullSubscription:
    return await nc.jetstream().pull_subscribe("towpath.timer.due.>", durable="due", stream=TIMER)


async def test_a_deadline_fires_once_and_leaves_nothing(js_connection: Client):
    due = await _due(js_connection)
    await _schedule(js_connection, "past", -5, b"1")
    await _schedule(js_connection, "soon", 1, b"2")
    assert len(await subjects(js_connection, TIMER)) == 2
    fired = []
    while len(fired) < 2:
        fired += await due.fetch(1, timeout=10)
        await fired[-1].ack_sync()
    assert [(message.subject, message.data) for message in fired] == [
        ("towpath.timer.due.deadline.past.1", b"1"),
        ("towpath.timer.due.deadline.soon.1", b"2"),
    ]
    assert fired[0].headers is not None
    assert fired[0].headers["ce-id"] == "timer-past"
    assert await subjects(js_connection, TIMER) == {}
    with pytest.raises(NatsTimeout):
        await due.fetch(1, timeout=1.5)


async def test_an_unacknowledged_deadline_comes_again(js_connection: Client):
    due = await _due(js_connection)
    await _schedule(js_connection, "past", -5)
    message = (await due.fetch(1, timeout=10))[0]
    await message.nak()
    again = (await due.fetch(1, timeout=10))[0]
    assert again.metadata.num_delivered == 2


async def test_a_deadline_set_again_replaces_the_first(js_connection: Client):
    due = await _due(js_connection)
    await _schedule(js_connection, "A", 3600)
    await _schedule(js_connection, "A", -1)
    message = (await due.fetch(1, timeout=10))[0]
    await message.ack_sync()
    assert await subjects(js_connection, TIMER) == {}


async def test_a_purged_deadline_never_fires(js_connection: Client):
    due = await _due(js_connection)
    await _schedule(js_connection, "A", 1)
    await js_connection.jetstream().purge_stream(TIMER, subject="towpath.timer.at.deadline.A.1")
    await _schedule(js_connection, "B", 2)
    message = (await due.fetch(1, timeout=10))[0]
    assert message.subject == "towpath.timer.due.deadline.B.1"


async def test_deadlines_survive_a_restart(nats_server: EmbeddedNats, js_connection: Client):
    await _schedule(js_connection, "before", 1)
    await _schedule(js_connection, "after", 3600)
    nats_server.stop()
    nats_server.start()
    nc = await connect(nats_server.control_url)
    due = await _due(nc)
    message = (await due.fetch(1, timeout=15))[0]
    await message.ack_sync()
    assert message.subject == "towpath.timer.due.deadline.before.1"
    assert await subjects(nc, TIMER) == {"towpath.timer.at.deadline.after.1": 1}
    await nc.close()


async def test_a_target_outside_its_stream_is_refused(js_connection: Client):
    headers = {
        "Nats-Schedule": "@at 2000-01-01T00:00:00Z",
        "Nats-Schedule-Target": "towpath.submit.default",
    }
    with pytest.raises(APIError):
        await js_connection.jetstream().publish("towpath.timer.at.deadline.A.1", b"{}", headers=headers)
    assert await subjects(js_connection, TIMER) == {}


async def test_schedules_would_turn_the_logs_protection_off(nats_server: EmbeddedNats):
    """Why deadlines have a stream of their own."""
    nc = await connect(nats_server.control_url)
    asked = {"name": "X", "subjects": ["x.>"], "allow_msg_schedules": True, "deny_purge": True}
    answer = await api(nc, "STREAM.CREATE.X", asked)
    config = answer.get("config", {})
    assert "error" in answer or (config["allow_rollup_hdrs"] and not config["deny_purge"])
    await nc.close()
