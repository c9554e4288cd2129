"""Streams that are refused, full, missing or oddly named."""

from __future__ import annotations

import asyncio

import pytest
from eventsourcing.persistence import OperationalError, StoredEvent

from eventsourcing_nats import NatsFactory
from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats
from stored_events import events
from tests.support.nats import api, connect


@pytest.mark.parametrize(
    ("setting", "value"),
    [("max_age", 10**12), ("max_msgs", 5), ("retention", "interest"), ("deny_delete", False)],
)
async def test_a_stream_that_may_have_forgotten_is_refused_by_the_settings_name(
    nats_server: EmbeddedNats, setting: str, value: object
) -> None:
    nats = Nats(nats_server.control_url)
    nc = await connect(nats_server.control_url)
    env = nats.settings()
    first = NatsFactory(env)
    await asyncio.to_thread(first.application_recorder)
    name = f"{env['NATS_STREAM_PREFIX']}-stored-events"
    config = (await api(nc, f"STREAM.INFO.{name}"))["config"]
    await api(nc, f"STREAM.DELETE.{name}")
    made = await api(nc, f"STREAM.CREATE.{name}", {**config, setting: value})
    assert "error" not in made
    for more in ({}, {"CREATE_TABLE": "no"}):
        factory = NatsFactory({**env, **more})
        with pytest.raises(OperationalError, match=rf"{name}: {setting} is"):
            await asyncio.to_thread(factory.application_recorder)
        await asyncio.to_thread(factory.close)
    await asyncio.to_thread(first.close)
    await nc.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_a_full_stream_refuses_at_once_and_takes_events_again_when_it_has_room(
    nats_server: EmbeddedNats, count: int
) -> None:
    env = Nats(nats_server.control_url).settings()
    factory = NatsFactory(env)
    recorder = await asyncio.to_thread(factory.application_recorder)
    name = f"{env['NATS_STREAM_PREFIX']}-stored-events"
    nc = await connect(nats_server.control_url)
    config = (await api(nc, f"STREAM.INFO.{name}"))["config"]
    assert "error" not in await api(nc, f"STREAM.UPDATE.{name}", {**config, "max_bytes": 1000})
    large = [StoredEvent("a", version, "t:E", bytes(1000)) for version in range(1, count + 1)]
    with pytest.raises(OperationalError, match="no room"):
        await asyncio.to_thread(recorder.insert_events, large)
    assert "error" not in await api(nc, f"STREAM.UPDATE.{name}", config)
    assert await asyncio.to_thread(recorder.insert_events, large) == list(range(1, count + 1))
    await nc.close()
    await asyncio.to_thread(factory.close)


async def test_a_missing_stream_is_only_made_where_that_is_allowed(nats_server: EmbeddedNats) -> None:
    env = Nats(nats_server.control_url).settings()
    factory = NatsFactory({**env, "CREATE_TABLE": "no"})
    with pytest.raises(OperationalError, match="does not exist"):
        await asyncio.to_thread(factory.application_recorder)
    await asyncio.to_thread(factory.close)


async def test_applications_with_odd_names_have_streams_of_their_own(nats_server: EmbeddedNats) -> None:
    env = Nats(nats_server.control_url).settings()
    nc = await connect(nats_server.control_url)
    for name in ("a.b", "a-b", "a b", "a_b", "Straße", "a=2Eb", "events-a"):
        factory = Nats(nats_server.control_url).factory(
            name, **{"NATS_STREAM_PREFIX": env["NATS_STREAM_PREFIX"]}
        )
        recorder = await asyncio.to_thread(factory.application_recorder)
        assert await asyncio.to_thread(recorder.insert_events, events(1)) == [1], name
        await asyncio.to_thread(factory.close)
    names = (await api(nc, "STREAM.NAMES"))["streams"]
    assert len([name for name in names if name.startswith(env["NATS_STREAM_PREFIX"])]) == 7
    await nc.close()
