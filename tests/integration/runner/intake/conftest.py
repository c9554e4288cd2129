"""Runners that take attempts from NATS only."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import nats.js.errors
import pytest

from infra.nats.embedded_server import EmbeddedNats
from runner.service import RunnerService
from tests.integration.runner.conftest import StartRunner
from tests.integration.runner.harness import (
    NatsControlPlane,
)

StartOnNats = Callable[..., Awaitable[RunnerService]]


@pytest.fixture
def on_nats(
    nats_control: NatsControlPlane, nats_server: EmbeddedNats, start_runner: StartRunner
) -> StartOnNats:
    """Factory of runners that take from NATS only, as the broker's runner user."""

    async def start(**changes: Any) -> RunnerService:
        fields = {"nats_url": nats_server.runner_url, "intake_port": None, **changes}
        return await start_runner(**fields)

    return start


async def heartbeat(nats_control: NatsControlPlane, service: RunnerService) -> dict[str, Any]:
    try:
        message = await nats_control.js.get_msg(
            "TOWPATH_RUNNER", subject=f"towpath.runner.{service.runner_id}"
        )
    except nats.js.errors.NotFoundError:
        return {}
    said: dict[str, Any] = json.loads(message.data or b"{}")
    return said
