"""A log on a real server with tasks that contend for workspaces, and what must hold of their lock facts."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from nats.aio.client import Client

from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.event_store.codec import chain_link, decoded
from adapters.nats.jetstream_api import JetStreamApi, LogUnreachable
from domain.locks.claims import FIRST_CHAIN
from domain.log.events import OnRunnerLost
from domain.log.record import Recorded
from domain.ports.log import Snapshots
from domain.protocol import Report
from domain.runners.attempt_token import Proof
from domain.services.task_commands import TaskCommands
from domain.services.task_findings import TaskFindings
from domain.services.task_reports import TaskReports
from domain.task.spec import TaskSpec
from projections.lock_view import FoldedLockView
from projections.locks import LockProjection
from tests.support.log_harness import jetstream_harness
from tests.support.memory_store import MemorySnapshots
from tests.support.messages import new_id, now
from tests.support.waiting import eventually


class ProjectionHarness:
    """One control plane without a dispatcher; projectors are started by the tests."""

    def __init__(self, connection: Client, *, grouped: bool = False, **timing: float) -> None:
        self.connection = connection
        self._api = JetStreamApi(connection)
        self.log = jetstream_harness(connection, grouped=grouped, **timing)
        self.view = FoldedLockView(self.log.reader, MemorySnapshots())
        self.cipher = AesGcmEnvCipher(b"secret")
        self.commands = TaskCommands(self.log.tasks, now, self.view, self.cipher)
        self.reports = TaskReports(self.log.tasks, now, self.view)
        self.findings = TaskFindings(self.log.tasks, now)
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> ProjectionHarness:
        self.run(self.view.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        found = await asyncio.gather(*self._running, return_exceptions=True)
        broken = [one for one in found if isinstance(one, Exception)]
        if broken:
            raise broken[0]

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something to the end of the test."""
        task = asyncio.create_task(work)
        self._running.append(task)
        return task

    async def stop(self, task: asyncio.Task[None]) -> None:
        """End one of them as a crash would: at once, saving nothing."""
        self._running.remove(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def projector(self, checkpoints: Snapshots | None = None, **options: int) -> LockProjection:
        """One more lock projector on this connection."""
        checkpoints = checkpoints or MemorySnapshots()
        return LockProjection(self.log.reader, self.log.locks, checkpoints, now, **options)

    async def register(self, workspace: str = "acme", on_runner_lost: OnRunnerLost = "fail") -> None:
        last = await self.log.workspaces.last_registration(workspace)
        await self.log.workspaces.append_registered(
            workspace, last, f"/srv/{workspace}", on_runner_lost, at=now(), actor="operator:ann"
        )

    async def dispatch(self, *paths: str, workspace: str = "acme", **spec: Any) -> str:
        """Create and dispatch a task that claims `paths`; its id."""
        task_id = new_id()
        asked = TaskSpec(command=["true"], workspace=workspace, lock_paths=list(paths), **spec)
        await self.commands.create(task_id, asked, "operator:ann")
        await self.commands.dispatch(task_id, "operator:ann")
        return task_id

    async def report(
        self,
        task_id: str,
        status: str = "succeeded",
        attempt: int = 1,
        instance: str | None = None,
        runner_id: str = "r1",
    ) -> None:
        said = {"status": status, "attempt": attempt, "runner_id": runner_id, "instance": instance}
        report = Report.model_validate(said)
        await self.reports.report(task_id, report, Proof(attempt, 1), "nats", f"runner:{runner_id}")

    async def facts(self, workspace: str = "acme") -> list[Recorded]:
        """All lock facts of a workspace, after checking that they form one unbroken chain."""
        try:
            raw = await self._api.batch(f"towpath.lock.{workspace}.*", 1, 10_000)
        except LogUnreachable as error:
            raise AssertionError("not yet back") from error
        chain = FIRST_CHAIN
        for version, message in enumerate(raw, start=1):
            assert int(message.headers["ce-entityversion"]) == version
            chain = chain_link(chain, message.subject, message.headers, message.data)
            assert message.headers["ce-chain"] == chain
        return [decoded(message) for message in raw]

    async def names(self, workspace: str = "acme") -> list[tuple[str, str]]:
        """Lock facts as (event, task id)."""
        return [(fact.event, fact.data["task_id"]) for fact in await self.facts(workspace)]

    async def until(self, *names: tuple[str, str]) -> None:
        """Wait until the facts of workspace `acme` are exactly these."""

        async def reached() -> bool:
            assert await self.names() == list(names)
            return True

        await eventually(reached)


def check_exclusive(facts: list[Recorded]) -> None:
    """Of claims that all conflict at most one holds at any position; each is granted and released once."""
    holder = None
    seen: set[tuple[str, tuple[str, int]]] = set()
    for fact in facts:
        key = (fact.data["task_id"], fact.data["attempt"])
        assert (fact.event, key) not in seen, f"{fact.event} twice for {key}"
        seen.add((fact.event, key))
        if fact.event == "granted":
            assert holder is None, f"{key} was granted while {holder} held"
            holder = key
        elif fact.event == "released":
            assert holder == key
            holder = None
