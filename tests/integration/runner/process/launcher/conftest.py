"""A launcher that works, for tests that start jobs without a runner."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from runner.process.launcher.forking import Launcher
from runner.process.orphans import Adoption
from tests.integration.runner.harness import DEADLINE


@pytest.fixture
async def launcher() -> AsyncIterator[Launcher]:
    made = Launcher(Adoption(), answer_seconds=DEADLINE)
    await made.start()
    yield made
    await made.stop()
