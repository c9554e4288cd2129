"""Real tasks as immutable states: told apart by what their decisions depend on, and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

from domain.errors import Refused
from domain.log.events import CreatedData
from domain.protocol import Report
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import TERMINAL, Status
from domain.workspaces.registry import Registration
from tests.unit.domain.samples import AT

SPACE = "acme-api"
ROOT = "/srv/acme"
REPORTS = ("queued", "running", "succeeded", "failed", "canceled")


class TaskState(NamedTuple):
    number: int
    status: Status
    attempt: int
    runner_id: str | None
    cancel_requested: bool
    release_requested: bool

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def open(self) -> bool:
        """Whether an attempt is under way."""
        return self.attempt > 0 and not self.ended


class Outcome(NamedTuple):
    """What a command led to: an event, or none and perhaps a refusal."""

    state: TaskState
    event: str | None
    code: str | None


class Aggregates:
    """Runs commands on real tasks and remembers what each leads to."""

    def __init__(self, specs: Sequence[CreatedData]) -> None:
        self.specs = specs
        self._tasks: dict[TaskState, Task] = {}
        self.do = cache(self._do)
        self.changed_by_old_news = cache(self._changed_by_old_news)

    def start(self) -> tuple[TaskState, ...]:
        return tuple(
            self._keep(number, Task.create(f"t{number}", spec, at=AT, actor="ann"))
            for number, spec in enumerate(self.specs)
        )

    def _keep(self, number: int, task: Task) -> TaskState:
        task.collect_events()
        state = TaskState(
            number, task.status, task.attempt, task.runner_id, task.cancel_requested, task.release_requested
        )
        self._tasks.setdefault(state, task)
        return state

    def _do(self, state: TaskState, command: str, *given: Any) -> Outcome:
        task = deepcopy(self._tasks[state])
        try:
            self._call(task, command, given)
        except Refused as refusal:
            assert not task.pending_events
            return Outcome(state, None, refusal.code)
        names = [event.NAME for event in task.pending_events]
        assert len(names) <= 1
        return Outcome(self._keep(state.number, task), names[0] if names else None, None)

    @staticmethod
    def _call(task: Task, command: str, given: tuple[Any, ...]) -> None:
        if command == "dispatch":
            registration = Registration(SPACE, ROOT, "fail", 1, 1) if task.needs_lock else None
            task.dispatch(registration, at=AT, actor="ann")
        elif command == "cancel":
            task.cancel(reason=None, at=AT, actor="ann")
        elif command == "release":
            task.request_release(*given, reason="stuck", at=AT, actor="bob")
        elif command == "submit-failed":
            task.submit_failed(*given, None, at=AT, actor="dispatch")
        elif command == "runner-lost":
            task.runner_lost(*given, "gone", at=AT, actor="watchdog")
        else:
            attempt, runner_id, granted = given
            said = Report(status=command, attempt=attempt, runner_id=runner_id)
            grant = GrantKnowledge.of(granted)
            task.report(said, grant=grant, transport="nats", at=AT, actor=f"runner:{runner_id}")

    def _changed_by_old_news(self, state: TaskState) -> tuple[str, ...]:
        """What was meant for an attempt that is over and yet changes the task; there must be nothing."""
        changed = []
        over = state.attempt if state.ended else state.attempt - 1
        for attempt in range(1, over + 1):
            for runner_id in ("r0", "r1"):
                for said in REPORTS:
                    if self.do(state, said, attempt, runner_id, True).event:
                        changed.append(f"c: {said} of attempt {attempt} changes attempt {state.attempt}")
            for command in (
                ("submit-failed", attempt, "deadline"), ("runner-lost", attempt), ("release", attempt, 1),
            ):  # fmt: skip
                if self.do(state, *command).event:
                    changed.append(f"c: {command[0]} of attempt {attempt} changes attempt {state.attempt}")
        return tuple(changed)
