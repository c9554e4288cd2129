"""The harness that the projections' tests drive."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from tests.integration.projections.harness import ProjectionHarness


@pytest.fixture
async def harness(js_connection: Client) -> AsyncIterator[ProjectionHarness]:
    """With workspace `acme` registered."""
    async with ProjectionHarness(js_connection) as running:
        await running.register()
        yield running
