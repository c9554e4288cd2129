"""The API in memory, open to everyone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.api.api_world import ApiWorld, api_world


@pytest.fixture
async def world() -> AsyncIterator[ApiWorld]:
    """A fresh API without tokens."""
    async with api_world() as made:
        yield made
