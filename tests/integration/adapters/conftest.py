"""A client behind a proxy that loses what a test names, beside the direct one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from infra.nats.embedded_server import EmbeddedNats
from tests.support.nats import connect
from tests.support.servers.nats_proxy import NatsProxy


@pytest.fixture
async def proxy(nats_server: EmbeddedNats, js_connection: Client) -> AsyncIterator[NatsProxy]:
    """In front of a server whose streams are there."""
    async with NatsProxy(nats_server.control_url) as running:
        yield running


@pytest.fixture
async def proxied(proxy: NatsProxy) -> AsyncIterator[Client]:
    """A connection through the proxy."""

    async def ignore(_: Exception) -> None:
        """Lost connections are what these tests are about."""

    nc = await connect(proxy.url, error_cb=ignore)
    yield nc
    await nc.close()
