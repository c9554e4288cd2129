"""A log with a history, sealed; and copies of it that somebody has tampered with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from infra.nats.embedded_server import EmbeddedNats
from tests.integration.infra.audit.evidence import Evidence, gather_evidence
from tests.support.nats import StartNats


@pytest.fixture
async def evidence(
    nats_server: EmbeddedNats, js_connection: Client, start_nats: StartNats, tmp_path: Path
) -> AsyncIterator[Evidence]:
    """A genuine log on one server, and how to write another version of it to a second one."""
    copy = start_nats()
    async with gather_evidence(nats_server, js_connection, copy, tmp_path) as found:
        yield found
