"""A log in memory, written by the domain itself: what the read model must agree with.

Every event comes from the task aggregate or the lock table, so a test can only state what can happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from domain.errors import NotFound, Refused
from domain.locks.claims import LockFact
from domain.locks.table import LockTable
from domain.log.events import OnRunnerLost, RegisteredData
from domain.log.record import Recorded
from domain.protocol import Report, rfc3339
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import TERMINAL
from domain.task.view import NO_LOCK, LockRead, TaskRead, held, task_read
from domain.workspaces.registry import Registration
from tests.support.messages import created

CHAIN = "0" * 64


class Lives:
    """Tasks and locks of one log. `now` is the time of the next event; each event moves it on.

    `pinned` is what attempts are dispatched with, where that is not the workspace's registration of now.
    """

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.tasks: dict[str, Task] = {}
        self.table = LockTable()
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.step = timedelta(milliseconds=7)
        self.pinned: Registration | None = None
        self._seqs: dict[str, int] = {}
        self._versions: Counter[str] = Counter()
        self._released: dict[tuple[str, int], LockRead] = {}

    def create(self, *, task_id: str | None = None, workspace: str | None = None, **changes: Any) -> str:
        """A new task; naming a workspace makes it a shared-workspace task."""
        if workspace and self.table.judge.registrations.get(workspace) is None:
            self.register(workspace, f"/w/{workspace}")
        mode = "shared-workspace" if workspace else "no-workspace"
        spec = created(**{"execution_mode": mode, "workspace": workspace, **changes})
        task_id = task_id or str(uuid7())
        self.tasks[task_id] = Task.create(task_id, spec, at=self.now, actor="op")
        self._record(task_id)
        return task_id

    def dispatch(self, task_id: str) -> None:
        """The next attempt; its lock waits until `decide`."""
        workspace = self.tasks[task_id].spec.workspace
        registration = self.pinned or (self.table.judge.registrations.get(workspace) if workspace else None)
        self.act(task_id, lambda task: task.dispatch(registration, at=self.now, actor="op"))

    def register(self, workspace: str, root: str) -> None:
        """Register or move a workspace; `zoo` keeps the locks of lost runners."""
        policy: OnRunnerLost = "hold" if workspace == "zoo" else "fail"
        data = RegisteredData(root=root, on_runner_lost=policy, by="op").model_dump(mode="json")
        self._versions[workspace] += 1
        seq, version = len(self.events) + 1, self._versions[workspace]
        self._append(
            Recorded(
                seq, "workspace", workspace, "registered", str(uuid7()), version, None,
                rfc3339(self.now), "op", CHAIN, data,
            )
        )  # fmt: skip

    def report(self, task_id: str, status: str, **fields: Any) -> None:
        """A runner's report of the current attempt."""
        task = self.tasks[task_id]
        held = not task.needs_lock or self.table.grant(task_id, task.attempt) is not None
        grant = GrantKnowledge.of(held)
        report = Report.model_validate({"status": status, "attempt": task.attempt or None, **fields})
        self.act(
            task_id,
            lambda task: task.report(report, grant=grant, transport="nats", at=self.now, actor="runner"),
        )

    def act(self, task_id: str, command: Callable[[Task], None]) -> None:
        """Record what `command` makes of the task; a refusal records nothing."""
        try:
            command(self.tasks[task_id])
        except (Refused, NotFound):
            return
        self._record(task_id)

    def decide(self, workspace: str) -> bool:
        """Append the one lock fact that is due in `workspace`, if there is one."""
        fact = self.table.decide(workspace)
        if fact is not None:
            self._append_lock(fact)
        return fact is not None

    def settle(self, workspace: str) -> None:
        """Append all lock facts that are due."""
        while self.decide(workspace):
            pass

    def live(self, workspace: str | None = None, **changes: Any) -> str:
        """A whole life that succeeds."""
        task_id = self.create(workspace=workspace, **changes)
        self.dispatch(task_id)
        if workspace:
            self.settle(workspace)
        self.report(task_id, "queued", runner_id="r1")
        self.report(task_id, "running", runner_id="r1", pid=7)
        self.report(task_id, "succeeded", exit_code=0, output_tail="done")
        if workspace:
            self.settle(workspace)
        return task_id

    def expected(self, task_id: str) -> TaskRead:
        """What the domain shows of a task, without what only the lock projection knows."""
        return task_read(self.tasks[task_id], self._seqs[task_id], self._lock(task_id))

    def newest_first(self) -> list[TaskRead]:
        """All tasks in the order of a list."""
        shown = [self.expected(task_id) for task_id in self.tasks]
        return sorted(shown, key=lambda one: (one.created_at, one.id), reverse=True)

    def _lock(self, task_id: str) -> LockRead:
        task = self.tasks[task_id]
        grant = self.table.grant(task_id, task.attempt)
        if grant is not None:
            return held(grant)
        if self.table.waiter(task_id, task.attempt) is not None:
            return LockRead(state="waiting", since=task.dispatched_at)
        return self._released.get((task_id, task.attempt), NO_LOCK)

    def _record(self, task_id: str) -> None:
        for event in self.tasks[task_id].collect_events():
            data = event.data.model_dump(mode="json")
            self._append(
                Recorded(
                    seq=len(self.events) + 1,
                    kind="task",
                    subject_id=task_id,
                    event=event.NAME,
                    id=str(uuid7()),
                    version=event.originator_version,
                    attempt=data.get("attempt"),
                    time=rfc3339(event.timestamp),
                    actor=event.actor,
                    chain=CHAIN,
                    data=data,
                )
            )
            self._seqs[task_id] = len(self.events)

    def _append_lock(self, fact: LockFact) -> None:
        data = fact.data.model_dump(mode="json")
        key = (data["task_id"], data["attempt"])
        grant = self.table.grant(*key)
        if fact.event == "released" and grant is not None:
            self._released[key] = LockRead(state="released", token=grant.token, since=self.now)
        self._append(
            Recorded(
                seq=len(self.events) + 1,
                kind="lock",
                subject_id=fact.workspace,
                event=fact.event,
                id=str(uuid7()),
                version=fact.version,
                attempt=data["attempt"],
                time=rfc3339(self.now),
                actor="locks",
                chain=CHAIN,
                data=data,
            )
        )

    def _append(self, event: Recorded) -> None:
        self.events.append(event)
        self.table.fold(event)
        self.now += self.step

    def void_grant(self, task_id: str) -> None:
        """A grant decided before, and appended behind, the end of the attempt it is for."""
        task = self.tasks[task_id]
        workspace = task.spec.workspace
        assert workspace is not None
        fact = self.table.decide(workspace)
        assert fact is not None
        assert fact.event == "granted"
        self.act(task_id, lambda task: task.cancel(reason=None, at=self.now, actor="op"))
        assert task.status in TERMINAL
        self._append_lock(fact)
