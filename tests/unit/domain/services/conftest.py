"""One task, created or dispatched, with its services."""

from __future__ import annotations

import pytest

from tests.unit.domain.samples import TASK_ID
from tests.unit.domain.services.service_fakes import SPEC, Harness


@pytest.fixture
async def harness() -> Harness:
    """The task is created, and its next attempts are granted."""
    harness = Harness()
    await harness.commands.create(TASK_ID, SPEC, "ann")
    harness.view.tokens = {(TASK_ID, attempt): 40 + attempt for attempt in (1, 2, 3)}
    return harness


@pytest.fixture
async def dispatched(harness: Harness) -> Harness:
    await harness.commands.dispatch(TASK_ID, "ann")
    return harness
