"""The API on a real server, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.nats.embedded_server import EmbeddedNats
from tests.integration.api.live_api import LiveApi, live_api


@pytest.fixture
async def live(nats_server: EmbeddedNats, tmp_path: Path) -> AsyncIterator[LiveApi]:
    """A running API."""
    async with live_api(nats_server, tmp_path / "data") as made:
        yield made
