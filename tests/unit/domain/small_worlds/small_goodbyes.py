"""A small world of a goodbye: one attempt that a runner may still take while it stops, and a watchdog.

The real aggregate decides what is recorded, and the real watchdog looks when its timer is due. The runner is
as `runner/service.py` stops it: it closes its intake, kills its processes, reports their ends, and says
goodbye with what it still holds. It may be killed at any time instead, its reports and its last heartbeat
may lie on the way, and an operator may forget it.

The clock counts in steps. A runner counts its lease from the sending of a heartbeat, and its shim kills what
runs within the grace; so the clock does not pass that moment while a process is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from domain.errors import DomainError
from domain.ports.queues import Due
from domain.protocol import Heartbeat, Held, Report
from domain.runners.liveness import LeaseTerms
from domain.task.aggregate import GrantKnowledge, Task
from domain.task.transitions import Status
from projections.attempt_timer import Note, attempt_timer
from projections.watchdog import Watchdog
from tests.unit.domain.samples import AT, TASK_ID, new_task
from tests.unit.domain.small_worlds.exploring import Step

LEASE, GRACE, SUBMIT, END = 2, 1, 3, 16
"""In steps of the clock; END is later than any lease or deadline that is left."""
DELAY = 1
"""How late a heartbeat is stored, or the watchdog looks, at most."""
BEATS = 2
"""How many heartbeats are sent before the goodbye."""
TERMS = LeaseTerms(timedelta(seconds=LEASE), timedelta(seconds=GRACE))
RUNNER = "r1"
KEY = attempt_timer(TASK_ID, 1)


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat: when it was sent, whether it lists the attempt, whether it is a goodbye."""

    sent: int
    counter: int
    held: bool
    leaving: bool


@dataclass(frozen=True, slots=True)
class State:
    """`reports`: on the way, in order. `stored`: the last heartbeat, and when the broker stored it."""

    clock: int
    task: Task = field(compare=False)
    known: tuple[str, datetime | None]
    timer: tuple[int, bytes]
    stored: tuple[Beat, int]
    sent: Beat | None = None
    lease_until: int = LEASE
    submitted: bool = True
    intake: bool = True
    alive: bool = True
    holds: bool = False
    process: bool = False
    reports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """What can play no part any more is alike."""
        over: dict[str, Any] = {"intake": False, "submitted": False, "holds": False} if not self.alive else {}
        if not (self.alive or self.process):
            over["lease_until"] = 0
        if not self.alive and not self.process:
            over["stored"] = (replace(self.stored[0], sent=0), self.stored[1])
        for name, value in over.items():
            object.__setattr__(self, name, value)

    @property
    def over(self) -> bool:
        """Whether nothing that follows can break a promise."""
        return self.task.ended and not self.process

    def at(self) -> datetime:
        """The broker's time."""
        return AT + timedelta(seconds=self.clock)


class GoodbyeWorld:
    """Everything that may happen to the attempt and to its runner."""

    def start(self) -> State:
        task = new_task(workspace=None)
        task.dispatch(None, at=AT, actor="ann")
        task.collect_events()
        note = Note(submit_by=AT + timedelta(seconds=SUBMIT)).encoded()
        return State(0, task, _known(task), (SUBMIT, note), (Beat(0, 1, held=False, leaving=False), 0))

    def at_rest(self, state: State) -> Iterable[str]:
        if not state.task.ended:
            yield f"end: the attempt is {state.task.status} and never ends"

    def steps(self, state: State) -> Iterator[Step]:
        if state.over:
            return
        waits = state.sent is not None and state.clock >= state.sent.sent + DELAY
        waits = waits or state.clock >= state.timer[0] + DELAY
        if (
            state.clock < END
            and not waits
            and not (state.process and state.clock >= state.lease_until + GRACE - 1)
        ):
            yield Step("the clock goes on", replace(state, clock=state.clock + 1))
        if state.process:
            ended = replace(state, process=False)
            if state.alive:
                yield Step("the process ends", replace(ended, reports=(*state.reports, "failed")))
            yield Step("the process is killed", ended)
        yield from self._runner(state)
        yield from self._control_plane(state)

    # ------------------------------------------------------------------ the runner

    def _runner(self, state: State) -> Iterator[Step]:
        if not state.alive:
            return
        leased = state.clock < state.lease_until
        if state.intake and state.submitted and leased:
            taken = replace(state, submitted=False, holds=True, reports=("running",))
            yield Step("takes the submission", taken, due=False)
        may_start = state.task.status is Status.RUNNING and state.holds and not state.process
        if may_start and leased and "failed" not in state.reports and state.intake:
            yield Step("starts the process", replace(state, process=True), due=False)
        if state.holds and state.task.ended and not state.process:
            yield Step("hears of the end", replace(state, holds=False), due=False)
        if state.intake:
            yield Step("closes its intake", replace(state, intake=False), due=False)
        if state.clock < 2 and state.sent is None and state.stored[0].counter < BEATS:
            yield self._beats(state, "beats", leaving=False)
        if not state.intake and self.may_leave(state):
            gone = self._beats(state, "says goodbye", leaving=True)
            yield Step(gone.label, replace(gone.state, alive=False), due=False)  # type: ignore[arg-type]
        yield Step("is killed", replace(state, alive=False), due=False)

    def _beats(self, state: State, label: str, *, leaving: bool) -> Step:
        newest = state.sent or state.stored[0]
        beat = Beat(state.clock, newest.counter + 1, state.holds, leaving)
        return Step(label, replace(state, sent=beat), due=False)

    # ------------------------------------------------------------------ the control plane

    def _control_plane(self, state: State) -> Iterator[Step]:
        if state.sent is not None:
            stored = replace(state, sent=None, stored=(state.sent, state.clock))
            renewed = replace(stored, lease_until=self.leased_until(state.sent, state.clock))
            yield Step("a heartbeat is stored", renewed if state.alive else stored)
            yield Step("its acknowledgement is lost", stored)
            yield Step("a heartbeat is lost", replace(state, sent=None))
        for number, status in enumerate(state.reports[:1]):
            rest = state.reports[number + 1 :]
            yield self._record(replace(state, reports=rest), f"{status} is applied", _report(status))
            if not state.alive:
                yield Step("reports stay on a dead host", replace(state, reports=()), due=False)
        last, _ = state.stored
        if self.forgettable(state) and not (last.leaving and not last.held):
            forgotten = (replace(last, held=False, leaving=True), state.clock)
            yield Step("is forgotten", replace(state, stored=forgotten), due=False)
        if state.clock >= state.timer[0] and not state.task.ended:
            yield self._watch(state)

    def _watch(self, state: State) -> Step:
        task = deepcopy(state.task)
        around = self.around(state, task)
        ports: Any = around
        watchdog = Watchdog(ports, ports, ports, ports, self.terms())
        _at_once(watchdog.handle(Due(KEY, state.at(), state.timer[1])))
        return self._after(state, task, "the watchdog looks", around.timer)

    def _record(self, state: State, label: str, act: Callable[[Task, datetime], None]) -> Step:
        task = deepcopy(state.task)
        try:
            act(task, state.at())
        except DomainError:
            return Step(label, state, due=False)
        return self._after(state, task, label, state.timer)

    def _after(self, state: State, task: Task, label: str, timer: tuple[int, bytes]) -> Step:
        task.collect_events()
        broken = []
        if task.ended and not state.task.ended and state.process:
            broken.append("lock: the attempt ends, which frees its lock, while its process runs")
        return Step(label, replace(state, task=task, known=_known(task), timer=timer), broken=tuple(broken))

    # ------------------------------------------------------------------ what faults replace

    def may_leave(self, state: State) -> bool:
        """Whether the goodbye may be sent: nothing runs any more, and its ends are on the way."""
        return not state.process

    def leased_until(self, beat: Beat, acknowledged: int) -> int:
        """The end of the lease that an acknowledged heartbeat gives."""
        return beat.sent + LEASE

    def forgettable(self, state: State) -> bool:
        """What `DELETE /runners/{id}` asks of the last heartbeat."""
        return TERMS.state(AT + timedelta(seconds=state.stored[1]), state.at()) == "lost"

    def terms(self) -> LeaseTerms:
        """By which the watchdog judges."""
        return TERMS

    def around(self, state: State, task: Task) -> Around:
        """What the watchdog reads and writes."""
        return Around(state, task)


class Around:
    """The ports of a watchdog on one state; `timer` is what it has armed."""

    def __init__(self, state: State, task: Task) -> None:
        self.state, self.task, self.timer = state, task, state.timer

    async def read(self, task_id: str, attempt: int | None = None) -> Any:
        return SimpleNamespace(task=self.task)

    async def runner_lost(self, task_id: str, attempt: int, message: str, actor: str) -> Any:
        self.task.runner_lost(attempt, message, at=self.state.at(), actor=actor)
        return SimpleNamespace(recorded=False)

    async def submit_failed(self, task_id: str, attempt: int, reason: Any, message: str, actor: str) -> None:
        self.task.submit_failed(attempt, reason, message, at=self.state.at(), actor=actor)

    async def last(self, *_: object, **__: object) -> tuple[Heartbeat, datetime]:
        beat, stored = self.state.stored
        return _heartbeat(beat), AT + timedelta(seconds=stored)

    async def fullness(self) -> float:
        return 0.0

    async def complete(self, since: datetime) -> bool:
        return True

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        beat, stored = self.state.stored
        return [] if beat.leaving and not beat.held else [(_heartbeat(beat), AT + timedelta(seconds=stored))]

    async def arm(self, deadline: object, at: datetime, note: bytes) -> None:
        """An overdue timer fires again at the next step of the clock."""
        due = max(self.state.clock + 1, -int((AT - at).total_seconds() // 1))
        self.timer = (min(due, END), note)


def _heartbeat(beat: Beat) -> Heartbeat:
    held = [Held(task_id=TASK_ID, attempt=1)] if beat.held else []
    return Heartbeat(
        runner_id=RUNNER, pools=["default"], host="h", capacity=1,
        counter=beat.counter, held=held, leaving=beat.leaving,
    )  # fmt: skip


def _report(status: str) -> Callable[[Task, datetime], None]:
    said = Report.model_validate({"status": status, "attempt": 1, "runner_id": RUNNER})

    def act(task: Task, at: datetime) -> None:
        task.report(said, grant=GrantKnowledge.HELD, transport="nats", at=at, actor=f"runner:{RUNNER}")

    return act


def _known(task: Task) -> tuple[str, datetime | None]:
    """What the watchdog and the next report go by."""
    return str(task.status), task.queued_at or task.modified_on


def _at_once(work: Any) -> None:
    """Run what waits for nothing."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the watchdog waits")
