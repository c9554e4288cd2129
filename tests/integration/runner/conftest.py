"""Fixtures of the runner's tests: a control plane to talk to and runners that are stopped afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from runner.service import RunnerService
from tests.integration.runner.harness import (
    HttpControlPlane,
    NatsControlPlane,
    RunnerProcess,
    http_control_plane,
    runner_config,
)

StartRunner = Callable[..., Awaitable[RunnerService]]


@pytest.fixture
async def control() -> AsyncIterator[HttpControlPlane]:
    async with http_control_plane() as running:
        yield running


@pytest.fixture
async def nats_control(js_connection: Client) -> AsyncIterator[NatsControlPlane]:
    made = NatsControlPlane(js_connection)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def start_runner(tmp_path: Path) -> AsyncIterator[StartRunner]:
    """Factory of runners in this process, all with the same state directory: stop one before the next."""
    started: list[RunnerService] = []

    async def start(new_output_client: Callable[[], Client] = Client, **changes: Any) -> RunnerService:
        config = runner_config(tmp_path / "state", **changes)
        service = RunnerService(config, new_output_client=new_output_client)
        started.append(service)
        await service.start()
        await service.start()  # a second one does nothing
        return service

    yield start
    for service in started:
        await service.stop()


@pytest.fixture
def runner_process(tmp_path: Path) -> Iterator[Callable[..., RunnerProcess]]:
    """Factory of runners in processes of their own, with the state directory of `start_runner`."""
    started: list[RunnerProcess] = []

    def start(**config: Any) -> RunnerProcess:
        process = RunnerProcess(state_dir=tmp_path / "state", **config)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()
