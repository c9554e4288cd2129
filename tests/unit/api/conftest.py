"""The API in memory, open to everyone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.api.api_harness import ApiHarness, api_harness


@pytest.fixture
async def harness() -> AsyncIterator[ApiHarness]:
    """A fresh API without tokens."""
    async with api_harness() as made:
        yield made
