"""A small world of retries: one task with a policy, two process managers, timers, people and a watchdog.

The real aggregate decides each step. A process manager reads the task and appends later, with the version
that it has read: so two of them, a cancel, a release and a dispatch by hand may come between. Timers are
delivered at any time, again and again, also those of attempts that are over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from domain.errors import DomainError
from domain.evidence.history_rules import task_fault
from domain.evidence.task_trace import TaskTrace
from domain.identifiers import FencingToken
from domain.locks.table import LockTable
from domain.log.events import RetryPolicy
from domain.log.record import Recorded
from domain.protocol import Report, rfc3339
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.events import TaskEvent
from domain.task.retries import ACTOR
from domain.task.transitions import Status
from tests.unit.domain.samples import AT, TASK_ID, created_data
from tests.unit.domain.small_worlds.exploring import Step

MOST = 2
"""Of the policy."""
BY_HAND = 2
"""How many attempts people begin."""
MANAGERS = (0, 1)
Act = Callable[[Task], None]


@dataclass(frozen=True, slots=True)
class State:
    """The log, and for each process manager what it has read: the attempt that it retries, and the version.

    Logs that leave the task, and what was asked of it, alike lead on alike.
    """

    task: Task = field(compare=False)
    log: tuple[Recorded, ...] = field(compare=False)
    read: tuple[tuple[int, Task] | None, ...] = field(compare=False)
    folded: object = None

    @classmethod
    def of(cls, task: Task, log: tuple[Recorded, ...], read: tuple[tuple[int, Task] | None, ...]) -> State:
        """The state behind `log`."""
        hands = sum(one.event == "dispatched" and one.actor != ACTOR for one in log)
        seen = tuple(None if one is None else (one[0], one[1].version - task.version) for one in read)
        flags = task.cancel_requested, task.release_requested, task.runner_id
        return cls(task, log, read, (task.status, task.attempt, task.reason, *flags, hands, seen))


class RetryWorld:
    """Everything that may happen to the task; a manager's `decide` is what its process does."""

    def start(self) -> State:
        policy = RetryPolicy(max_attempts=MOST, backoff_seconds=0.0, on=["exit", "no-runner", "runner-lost"])
        task = Task.create(TASK_ID, created_data(workspace=None, retry=policy), at=AT, actor="ann")
        log = tuple(_recorded(task, ()))
        task.collect_events()
        return State.of(task, log, (None, None))

    def at_rest(self, state: State) -> Iterable[str]:
        if state.task.next_attempt_at is not None:
            yield "begins: an attempt that follows by itself is never begun"

    def steps(self, state: State) -> Iterator[Step]:
        hands = sum(one.event == "dispatched" and one.actor != ACTOR for one in state.log)
        if hands < BY_HAND:
            yield self._step(state, "dispatch", lambda task: task.dispatch(None, at=AT, actor="ann"))
        yield self._step(state, "cancel", lambda task: task.cancel(reason=None, at=AT, actor="ann"))
        attempt = state.task.attempt
        yield self._step(state, "release", _release(attempt))
        yield self._step(state, "lost", lambda task: task.runner_lost(attempt, "", at=AT, actor="watchdog"))
        yield self._step(
            state,
            "no runner",
            lambda task: task.submit_failed(attempt, "no-runner", None, at=AT, actor="watchdog"),
        )
        for status in ("running", "succeeded", "failed"):
            yield self._step(state, status, _report(status, attempt))
        for manager in MANAGERS:
            yield from self._manager(state, manager)

    def _manager(self, state: State, manager: int) -> Iterator[Step]:
        held = state.read[manager]
        if held is None:
            for attempt in range(1, state.task.attempt + 1):
                read = (*state.read[:manager], (attempt, state.task), *state.read[manager + 1 :])
                if self.due(state.task, attempt):
                    yield Step(f"{manager} reads {attempt}", State.of(state.task, state.log, read))
            return
        attempt, known = held
        free = (*state.read[:manager], None, *state.read[manager + 1 :])
        label = f"{manager} retries {attempt}"
        if known.version != state.task.version and self.compares():
            yield Step(
                label, State.of(state.task, state.log, free)
            )  # lost the compare-and-set: it reads again
            return
        after = self._step(State.of(state.task, state.log, free), label, self.retry(known, attempt))
        yield Step(label, after.state, due=True, broken=after.broken)

    # ------------------------------------------------------------------ what faults replace

    def compares(self) -> bool:
        """An append expects the version that its decider has read."""
        return True

    def due(self, task: Task, attempt: int) -> bool:
        """What `projections/retries.py` asks of the task it has read."""
        return task.attempt == attempt and task.next_attempt_at is not None

    def retry(self, known: Task, attempt: int) -> Act:
        """What it then decides."""
        return lambda task: task.retry(None, at=AT, actor=ACTOR)

    # ------------------------------------------------------------------

    def _step(self, state: State, label: str, act: Act) -> Step:
        task = deepcopy(state.task)
        try:
            act(task)
        except DomainError:
            return Step(label, state, due=False)
        log = (*state.log, *_recorded(task, state.log))
        task.collect_events()
        after = State.of(task, log, state.read)
        return Step(label, after, due=False, broken=tuple(_broken(log, len(state.log))))


def _release(attempt: int) -> Act:
    return lambda task: task.request_release(attempt, FencingToken(7), reason="stuck", at=AT, actor="ann")


def _report(status: str, attempt: int) -> Act:
    said = Report.model_validate(
        {"status": status, "attempt": attempt or None, "runner_id": "r1", "reason": "exit"}
    )

    def act(task: Task) -> None:
        task.report(said, grant=GrantKnowledge.HELD, transport="nats", at=AT, actor="runner:r1")

    return act


def _broken(log: tuple[Recorded, ...], before: int) -> Iterator[str]:
    """What the rules of histories find, and what was promised about retries, read from the log alone."""
    for number in range(before, len(log)):
        trace = TaskTrace.of(log[0])
        for event in log[1:number]:
            trace.follow(event)
        fault = task_fault(trace, log[number], LockTable())
        if fault is not None:
            yield f"history: {fault}"
        if (log[number].event, log[number].actor) == ("dispatched", ACTOR):
            yield from _wrong_retry(log[:number])


def _wrong_retry(before: tuple[Recorded, ...]) -> Iterator[str]:
    begun = max(number for number, one in enumerate(before) if one.event == "dispatched")
    names = [one.event for one in before[begun:]]
    attempts = sum(one.event == "dispatched" for one in before)
    if attempts >= MOST:
        yield "most: more attempts than the policy allows"
    if {"cancel-requested", "canceled"} & set(names):
        yield "cancel: an attempt was begun over a cancel"
    if "lock-release-requested" in names:
        yield "release: an attempt was begun over a release by hand"
    if "succeeded" in names:
        yield "success: an attempt was begun after a success"
    if not {Status.FAILED.value, Status.SUBMIT_FAILED.value} & set(names):
        yield "once: a second attempt was begun beside an open one"


def _recorded(task: Task, log: tuple[Recorded, ...]) -> Iterator[Recorded]:
    for number, event in enumerate(task.pending_events, start=len(log) + 1):
        assert isinstance(event, TaskEvent)
        data = event.data.model_dump(mode="json")
        yield Recorded(
            seq=number,
            kind="task",
            subject_id=TASK_ID,
            event=event.NAME,
            id=f"e{number}",
            version=number,
            attempt=data.get("attempt"),
            time=rfc3339(AT),
            actor=event.actor,
            chain="",
            data=data,
        )
