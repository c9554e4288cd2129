"""A log of claims and lock facts, written event by event, for tests of the lock table."""

from __future__ import annotations

from typing import Any

from domain.locks.claims import LockFact
from domain.locks.table import LockTable
from domain.log.events import DispatchedData, LockReleaseRequestedData, RegisteredData, RemovedData
from domain.log.record import Recorded
from domain.workspaces.registry import Registration
from tests.unit.domain.samples import Journal

SPACE = "acme-api"
ROOTS = {SPACE: "/srv/acme", "other": "/srv/other"}
"""What is registered before anything else happens."""


def new_table(table_type: type[LockTable] = LockTable) -> LockTable:
    """An empty table that knows ROOTS."""
    return table_type(Registration(name, root, "fail", 0, 0) for name, root in ROOTS.items())


class LockLog(Journal):
    """Appends what tasks do to their claims, and what a decider decided, with its compare-and-set."""

    def dispatched(
        self,
        task_id: str,
        *paths: str,
        attempt: int = 1,
        mode: str = "exclusive",
        on_conflict: str = "wait",
        root: str | None = None,
        workspace: str | None = SPACE,
        wait_seconds: float | None = None,
    ) -> Recorded:
        data = DispatchedData(
            attempt=attempt,
            pool="default",
            workspace=workspace,
            root=root or ROOTS.get(workspace, "/srv/acme"),
            registration_seq=1,
            lock_paths=list(paths),
            lock_mode=mode,
            on_conflict=on_conflict,
            by="ann",
            lock_wait_seconds=wait_seconds,
        )
        return self.append("task", task_id, "dispatched", data)

    def registered(self, workspace: str, root: str, on_runner_lost: str = "fail") -> Recorded:
        data = RegisteredData(root=root, on_runner_lost=on_runner_lost, by="ann")
        return self.append("workspace", workspace, "registered", data)

    def removed(self, workspace: str) -> Recorded:
        return self.append("workspace", workspace, "removed", RemovedData(by="ann", reason=None))

    def said(self, task_id: str, event: str, attempt: int = 1, **data: Any) -> Recorded:
        """Any later event of an attempt."""
        return self.append("task", task_id, event, {"attempt": attempt, **data}, actor=f"by-{event}")

    def release_requested(self, task_id: str, token: int, attempt: int = 1) -> Recorded:
        data = LockReleaseRequestedData(attempt=attempt, token=token, by="bob", reason="stuck")
        return self.append("task", task_id, "lock-release-requested", data)

    def take(self, fact: LockFact) -> Recorded | None:
        """Append a lock fact if it finds the last one it expects; None where it lost."""
        last = self.last("lock", fact.workspace)
        if (last.seq if last else 0) != fact.expected_seq:
            return None
        assert fact.version == (last.version if last else 0) + 1
        assert fact.previous_chain == (last.chain if last else "0" * 64)
        return self.append("lock", fact.workspace, fact.event, fact.data, actor="lock-projection")


def folded(events: list[Recorded]) -> LockTable:
    """The table of these events."""
    table = new_table()
    for event in events:
        table.fold(event)
    return table


def settle(log: LockLog, table: LockTable, workspace: str = SPACE) -> list[str]:
    """Fold, decide and append until nothing is due; what was appended, e.g. `granted one.1`."""
    done: list[str] = []
    while True:
        for event in log.events[table.seq :]:
            table.fold(event)
        fact = table.decide(workspace)
        if fact is None:
            return done
        recorded = log.take(fact)
        assert recorded is not None
        done.append(f"{recorded.event} {recorded.data['task_id']}.{recorded.data['attempt']}")
