"""Row `lifecycles`: whole lives a second, each with its lock granted and released, without a subprocess.

The driver is what an API process is inside: the same core, service and lock view. The projector is a
process of its own. A life counts when its `released` stands in the log: seven events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from domain.protocol import Report, ReportedStatus
from domain.services.task_commands import TaskCommands
from domain.services.task_reports import TaskReports
from domain.task.spec import TaskSpec
from infra.composition import Core, new_id, open_core
from infra.config.settings import Settings
from projections.lock_view import FoldedLockView
from tests.bench.baselines.raw_publishes import pipelined
from tests.bench.child import in_child
from tests.bench.figures import Row, middle_turn, row
from tests.bench.harness import POOL, Harness
from tests.bench.load.history import EVENTS_PER_LIFE, History
from tests.bench.sizes import Sizes

TURN_SECONDS = 180.0
STEP_SECONDS = 60.0
WORKSPACES = 256
PREFIX = "life"
ACTOR = "bench"


def measure(harness: Harness, sizes: Sizes) -> list[Row]:
    """The row for one kind of fsync."""
    mode = harness.mode
    raw, lives = [], []
    in_child("register", lambda: register(harness.settings, PREFIX, WORKSPACES), TURN_SECONDS)
    for _ in range(sizes.rounds):
        appends = in_child("raw", lambda: pipelined(harness.settings, sizes.appends(mode)), TURN_SECONDS)
        raw.append(appends / EVENTS_PER_LIFE)
        with harness.control_plane(apis=0):
            lives.append(in_child("driver", lambda: _rate(harness.settings, sizes.lives(mode)), TURN_SECONDS))
    return [row(f"lifecycles/{mode}", *middle_turn(lives, raw))]


async def register(settings: Settings, prefix: str, workspaces: int) -> None:
    """Register workspaces for the drivers of this harness."""
    async with open_core(settings, "bench-register") as core:
        await History(core.connection, prefix, workspaces).register()


@dataclass(frozen=True, slots=True)
class Driver:
    """Takes tasks through their lives."""

    core: Core
    commands: TaskCommands
    reports: TaskReports
    view: FoldedLockView

    async def claim(self, workspace: str, paths: Sequence[str] = ()) -> str:
        """A task that is created and dispatched; its id."""
        task_id = new_id()
        spec = TaskSpec(
            command=["true"],
            workspace=workspace,
            pool=POOL,
            execution_mode="shared-workspace",
            lock_paths=list(paths),
        )
        await self.commands.create(task_id, spec, ACTOR)
        await self.commands.dispatch(task_id, ACTOR)
        return task_id

    async def granted(self, task_id: str) -> None:
        """Wait until the claim holds."""
        async with asyncio.timeout(STEP_SECONDS):
            while await self.view.decided(task_id, 1, STEP_SECONDS) == "waiting":
                await self.view.caught_up(self.view.seq + 1, STEP_SECONDS)

    async def life(self, workspace: str, runs_seconds: float = 0.0, paths: Sequence[str] = ()) -> float:
        """One task from `created` to `released`; the seconds from its `dispatched` to its grant."""
        task_id = await self.claim(workspace, paths)
        dispatched = time.perf_counter()
        await self.granted(task_id)
        waited = time.perf_counter() - dispatched
        token = self.core.tokens.mint(task_id, 1, 0)
        await self._report(task_id, token, "queued")
        await self._report(task_id, token, "running")
        if runs_seconds:
            await asyncio.sleep(runs_seconds)
        await self._report(task_id, token, "succeeded")
        if not await self.view.released(task_id, 1, STEP_SECONDS):
            raise TimeoutError(f"the lock of {task_id} was not released")
        return waited

    async def _report(self, task_id: str, token: str, status: ReportedStatus) -> None:
        report = Report(
            status=status, attempt=1, runner_id="bench", exit_code=0 if status == "succeeded" else None
        )
        proof = self.core.tokens.check(task_id, token)
        await self.reports.report(task_id, report, proof, "http", "runner:bench")


@contextlib.asynccontextmanager
async def driver(settings: Settings) -> AsyncIterator[Driver]:
    """A driver whose view has caught up with the log."""
    async with open_core(settings, "bench-driver") as core:
        view = FoldedLockView(core.reader, core.snapshots)
        folding = asyncio.create_task(view.run())
        try:
            if not await view.caught_up(await core.reader.last_seq(), STEP_SECONDS):
                raise TimeoutError("the driver's view did not catch up")
            yield Driver(core, core.commands(view), core.reports(view), view)
        finally:
            folding.cancel()
            await asyncio.gather(folding, return_exceptions=True)


async def _rate(settings: Settings, count: int) -> float:
    async with driver(settings) as driving:
        workspaces = [f"{PREFIX}-{number}" for number in range(WORKSPACES)]
        await _all_lives(driving, workspaces, WORKSPACES // 4)  # the projector is there, and all is warm
        started = time.perf_counter()
        await _all_lives(driving, workspaces, count)
        return count / (time.perf_counter() - started)


async def _all_lives(driving: Driver, workspaces: Sequence[str], count: int) -> None:
    left = iter(range(count))

    async def worker(workspace: str) -> None:
        for _ in left:
            await driving.life(workspace)

    async with asyncio.TaskGroup() as group:
        for workspace in workspaces:
            group.create_task(worker(workspace))
