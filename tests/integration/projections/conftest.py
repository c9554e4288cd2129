"""The stage on which the projections' tests play."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from tests.integration.projections.stage import Stage


@pytest.fixture
async def stage(js_connection: Client) -> AsyncIterator[Stage]:
    """With workspace `acme` registered."""
    async with Stage(js_connection) as running:
        await running.register()
        yield running
