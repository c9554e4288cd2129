"""The lock table in a small world that hypothesis drives: tasks, reports, lag, lost races, crashes.

Several projectors fold one log at their own pace, each with its own table, and append what they decide
with the workspace's compare-and-set. Messages may land long after their sender has crashed. What lands
is checked by `LockReference`, by log position and without the table.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from domain.errors import Refused
from domain.locks.claims import LockFact
from domain.locks.table import LockTable
from domain.log.record import Recorded
from domain.protocol import Report
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import Status
from domain.workspaces.registry import Registration
from tests.unit.domain.locks.lock_log import SPACE, LockLog
from tests.unit.domain.locks.lock_reference import LockReference
from tests.unit.domain.samples import AT, created_data

THIEF = "thief"
SPACES = (SPACE, THIEF)
ROOTS = ("/srv/acme", "/srv/acme/src", "/srv/new")
REPORTS = ("queued", "running", "succeeded", "failed", "canceled")

claims = st.fixed_dictionaries(
    {
        "lock_paths": st.sampled_from([[], ["src"], ["src/api"], ["src2"], ["docs", "src/web"]]),
        "lock_mode": st.sampled_from(["exclusive", "exclusive", "shared"]),
        "on_conflict": st.sampled_from(["wait", "wait", "reject"]),
        "workspace": st.sampled_from([SPACE, SPACE, THIEF]),
    }
)
tasks = st.integers(0, 5)
spaces = st.sampled_from(SPACES)
roots = st.sampled_from((ROOTS[0], *ROOTS))
projectors = st.integers(0, 2)


def folded(events: list[Recorded]) -> LockTable:
    table = LockTable()
    for event in events:
        table.fold(event)
    return table


@dataclass
class Projector:
    """A table at its own pace, the message it has on its way, and the snapshots it could restart from."""

    table: LockTable = field(default_factory=LockTable)
    messages: dict[str, LockFact] = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=lambda: [json.dumps(LockTable().snapshot())])


class Locks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = LockLog()
        self.reference = LockReference()
        self.tasks: list[Task] = []
        self.projectors = [Projector() for _ in range(3)]
        self.strays: list[LockFact] = []

    # ------------------------------------------------------------------ tasks

    @initialize(specs=st.lists(claims, min_size=2, max_size=6))
    def create(self, specs: list[dict[str, Any]]) -> None:
        self.register(SPACE, ROOTS[0])
        for number, spec in enumerate(specs):
            task = Task.create(f"task-{number}", created_data(**spec), at=AT, actor="ann")
            self.tasks.append(task)
            self.store(task)

    def store(self, task: Task) -> int:
        recorded = self.log.append_pending(task)
        for event in recorded:
            self.reference.follow(event)
        return len(recorded)

    # ------------------------------------------------------------------ workspaces

    @rule(workspace=spaces, root=roots)
    def register(self, workspace: str, root: str) -> None:
        self.reference.follow(self.log.registered(workspace, root))

    @rule(workspace=spaces)
    def remove(self, workspace: str) -> None:
        self.reference.follow(self.log.removed(workspace))

    @precondition(lambda self: THIEF not in self.reference.roots)
    @rule()
    def try_to_steal(self) -> None:
        """What was reported: the held workspace moves away, and another takes its root."""
        self.register(SPACE, ROOTS[2])
        self.register(THIEF, ROOTS[0])
        self.dispatch_all(None)

    def open_tasks(self) -> list[Task]:
        return [task for task in self.tasks if task.attempt and not task.ended]

    def idle_tasks(self) -> list[Task]:
        return [
            task
            for task in self.tasks
            if task.status is not Status.SUCCEEDED and task not in self.open_tasks()
        ]

    @precondition(idle_tasks)
    @rule(number=tasks, root=st.none() | roots)
    def dispatch(self, number: int, root: str | None) -> None:
        """By a view that may be anything (`root`), or by that of now."""
        idle = self.idle_tasks()
        task = idle[number % len(idle)]
        space = str(task.spec.workspace)
        root = root or self.reference.roots.get(space, ROOTS[0])
        task.dispatch(Registration(space, root, "fail", 1, 1), at=AT, actor="ann")
        assert self.store(task) == 1

    @precondition(idle_tasks)
    @rule(root=st.none() | roots)
    def dispatch_all(self, root: str | None) -> None:
        for _ in self.idle_tasks():
            self.dispatch(0, root)

    @precondition(open_tasks)
    @rule(number=tasks, status=st.sampled_from(REPORTS))
    def report(self, number: int, status: str) -> None:
        """What a runner says counts at most once."""
        tasks = self.open_tasks()
        task = tasks[number % len(tasks)]
        recorded = [self.said(task, status, task.attempt) for _ in range(2)]
        assert recorded in ([0, 0], [1, 0])

    @precondition(lambda self: any(task.attempt > 1 for task in self.tasks))
    @rule(number=tasks, status=st.sampled_from(REPORTS))
    def late_report(self, number: int, status: str) -> None:
        """What is said about an older attempt changes nothing."""
        tasks = [task for task in self.tasks if task.attempt > 1]
        task = tasks[number % len(tasks)]
        for attempt in range(1, task.attempt):
            task.submit_failed(attempt, "deadline", None, at=AT, actor="dispatch")
            task.runner_lost(attempt, "gone", at=AT, actor="watchdog")
            assert self.said(task, status, attempt) == 0

    def said(self, task: Task, status: str, attempt: int) -> int:
        """The number of events recorded."""
        granted = self.reference.holding((task.id, task.attempt)) is not None
        said = Report(status=status, attempt=attempt, runner_id="r1")
        with suppress(Refused):
            task.report(said, grant=GrantKnowledge.of(granted), transport="nats", at=AT, actor="runner:r1")
        return self.store(task)

    @precondition(open_tasks)
    @rule(number=tasks)
    def cancel(self, number: int) -> None:
        task = self.open_tasks()[number % len(self.open_tasks())]
        task.cancel(reason=None, at=AT, actor="ann")
        self.store(task)

    @precondition(open_tasks)
    @rule(number=tasks)
    def submit_failed(self, number: int) -> None:
        task = self.open_tasks()[number % len(self.open_tasks())]
        task.submit_failed(task.attempt, "deadline", None, at=AT, actor="dispatch")
        self.store(task)

    @precondition(lambda self: self.reference.held)
    @rule(number=tasks)
    def release_by_hand(self, number: int) -> None:
        held = list(self.reference.held.items())
        (task_id, attempt), token = held[number % len(held)]
        task = next(task for task in self.tasks if task.id == task_id)
        for _ in range(2):
            task.request_release(attempt, token, reason="stuck", at=AT, actor="bob")
            self.store(task)

    # ------------------------------------------------------------------ projectors

    @rule(number=projectors, count=st.sampled_from((1, 2, 4, 100)))
    def fold(self, number: int, count: int) -> None:
        table = self.projectors[number].table
        for event in self.log.events[table.seq : table.seq + count]:
            table.fold(event)
            void = event.seq in self.reference.void
            assert (table.judged is not None) == void, f"{event} is judged otherwise"

    @rule(number=projectors, space=spaces)
    def decide(self, number: int, space: str) -> None:
        projector = self.projectors[number]
        if space not in projector.messages:
            fact = projector.table.decide(space)
            if fact is not None:
                projector.messages[space] = fact

    @precondition(lambda self: any(one.messages for one in self.projectors))
    @rule(number=projectors, space=spaces)
    def land(self, number: int, space: str) -> None:
        projector = self.projectors[number]
        fact = projector.messages.pop(space, None)
        if fact is None:
            return
        recorded = self.log.take(fact)
        if recorded is not None:
            self.reference.follow(recorded)
            projector.table.fold_own(recorded)

    @rule(number=projectors, facts=st.integers(1, 3), folds=st.booleans(), space=spaces)
    def append_what_is_due(self, number: int, facts: int, folds: bool, space: str) -> None:
        """One fact after the other, each folded ahead of the log, or the log in between."""
        for _ in range(facts):
            if folds:
                self.fold(number, self.log.seq)
            self.decide(number, space)
            self.land(number, space)

    @rule(number=projectors)
    def save(self, number: int) -> None:
        projector = self.projectors[number]
        projector.snapshots.append(json.dumps(projector.table.snapshot()))

    @rule(number=projectors, back=st.integers(0, 3))
    def crash(self, number: int, back: int) -> None:
        projector = self.projectors[number]
        self.strays += projector.messages.values()
        projector.messages.clear()
        kept = projector.snapshots[max(0, len(projector.snapshots) - 1 - back)]
        projector.table = LockTable.restore(json.loads(kept))

    @precondition(lambda self: self.strays)
    @rule(number=st.integers(0, 3))
    def stray_lands(self, number: int) -> None:
        recorded = self.log.take(self.strays.pop(number % len(self.strays)))
        if recorded is not None:
            self.reference.follow(recorded)

    # ------------------------------------------------------------------ what must hold

    @rule(number=projectors, twice=st.booleans())
    def a_snapshot_and_the_tail_equal_the_whole(self, number: int, twice: bool) -> None:
        stored = json.dumps(self.projectors[number].table.snapshot())
        table = LockTable.restore(json.loads(stored))
        for event in self.log.events[table.seq :]:
            for _ in range(1 + twice):
                table.fold(event)
        assert table.snapshot() == folded(self.log.events).snapshot()

    @rule()
    def the_table_and_the_reference_agree(self) -> None:
        table = folded(self.log.events)
        claims = self.reference.claims.values()
        held = {one.claim.key: one.token for space in SPACES for one in table.holders(space)}
        assert held == self.reference.held
        assert {one.id: one.root for one in table.judge.registrations} == self.reference.roots
        for space in SPACES:
            waiting = [waiter.claim.key for waiter in table.waiters(space)]
            assert waiting == [one.key for one in claims if one.waits and one.workspace == space]
            opened = [one.key for one in claims if one.open and one.workspace == space]
            assert table.judge.open_claims(space) == opened
            for claim in claims:
                if claim.open and claim.workspace == space:
                    assert claim.root == self.reference.roots[space]

    @rule(order=st.permutations([0, 1, 2]))
    def settle(self, order: list[int]) -> None:
        """All projectors come to rest; they take turns, so that most of their races are lost."""
        busy = True
        while busy:
            before = (self.log.seq, [one.table.seq for one in self.projectors])
            for space in SPACES:
                for number in order:
                    self.decide(number, space)
                    self.fold(number, self.log.seq)
                for number in order:
                    self.land(number, space)
            busy = before != (self.log.seq, [one.table.seq for one in self.projectors])
        self.reference.settled()
        assert len({json.dumps(one.table.snapshot()) for one in self.projectors}) == 1

    def teardown(self) -> None:
        """Once every attempt has ended, nothing is held and nothing waits."""
        if not self.tasks:
            return
        while self.strays:
            self.stray_lands(0)
        self.settle([0, 1, 2])
        for _ in self.tasks:
            for task in self.tasks:
                task.submit_failed(task.attempt, "deadline", None, at=AT, actor="dispatch")
                task.runner_lost(task.attempt, "gone", at=AT, actor="watchdog")
                self.store(task)
            self.settle([2, 1, 0])
        for number in range(3):
            self.a_snapshot_and_the_tail_equal_the_whole(number, twice=True)
        self.the_table_and_the_reference_agree()
        assert not self.reference.held
        assert not list(self.projectors[0].table.workspaces())


TestLocks = Locks.TestCase
# Shrinking takes minutes here; add Phase.shrink to read a failure.
TestLocks.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
