"""How connections end: closed, forgotten, or forked."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import pytest
from eventsourcing.persistence import ProgrammingError

from infra.nats.embedded_server import EmbeddedNats
from nats_settings import Nats
from stored_events import events
from tests.support.servers.nats_proxy import NatsProxy
from tests.support.waiting import eventually


def test_closing_again_is_nothing_and_using_it_then_is_an_error(nats_server: EmbeddedNats) -> None:
    never_used = Nats(nats_server.control_url).factory()
    never_used.close()
    factory = Nats(nats_server.control_url).factory()
    recorder = factory.application_recorder()
    factory.close()
    factory.close()
    for each in (recorder.max_notification_id, never_used.application_recorder):
        with pytest.raises(ProgrammingError, match="closed"):
            each()


def threads() -> list[threading.Thread]:
    """Those of connections."""
    return [thread for thread in threading.enumerate() if thread.name == "eventsourcing-nats"]


async def test_a_connection_may_be_closed_at_any_moment_of_its_search_for_a_server(proxy: NatsProxy) -> None:
    before = threads()
    factories = [Nats(proxy.url).factory() for _ in range(20)]
    await asyncio.gather(*[asyncio.to_thread(factory.tracking_recorder) for factory in factories])
    assert len(threads()) == len(before) + len(factories)
    for factory in factories:
        closing = asyncio.create_task(asyncio.to_thread(factory.close))
        proxy.cut()
        await closing
    await eventually(lambda: threads() == before)


async def test_a_factory_that_was_not_closed_ends_with_its_last_reference(nats_server: EmbeddedNats) -> None:
    before = threads()
    factory = Nats(nats_server.control_url).factory()
    await asyncio.to_thread(factory.application_recorder)
    assert len(threads()) == len(before) + 1
    del factory
    gc.collect()
    await eventually(lambda: threads() == before)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_refused_and_the_parent_goes_on(nats_server: EmbeddedNats) -> None:
    factory = Nats(nats_server.control_url).factory()
    recorder = factory.application_recorder()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            recorder.insert_events(events(1))
        except ProgrammingError as error:
            status = 0 if "fork" in str(error) else 2
        finally:
            factory.close()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert recorder.insert_events(events(1)) == [1]
    factory.close()
