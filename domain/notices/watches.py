"""Watches: what may become a condition, folded from the log; each begins once and ends once.

A watch is opened by an event (`dispatched`, `running`) or by what heartbeats show. It is told once its time
has come, and where it was told, its end is told, too. The notifier keeps the open watches with its position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.identifiers import RunnerId, TaskId
from domain.log.payloads import AttemptPayload, BoundPayload, DispatchedPayload, LockPayload
from domain.log.record import Recorded
from domain.notices.rules import AWAITING_OPERATOR, LOCK_WAITS, RUNNER_LOST, RUNNER_SUSPECTED, RUNS, Trigger
from domain.protocol import RunnerState

ENDS = frozenset({"succeeded", "failed", "canceled", "submit-failed"})
_RUNNER = (RUNNER_SUSPECTED, RUNNER_LOST)


@dataclass(frozen=True, slots=True)
class Watch:
    """One possible condition: of an attempt, or of a runner (then `task_id` is None).

    `since`: from when it counts; `told_to`: the channels told of its beginning, None while it has not begun.
    `source_id` names what opened it.
    """

    trigger: Trigger
    since: datetime
    source_id: str
    task_id: TaskId | None = None
    attempt: int = 0
    runner_id: RunnerId | None = None
    told_to: tuple[str, ...] | None = None

    @property
    def key(self) -> str:
        """Identifies it among the open ones."""
        return f"{self.trigger} {self.task_id or self.runner_id} {self.attempt}"

    @property
    def due_at(self) -> datetime:
        """When the condition begins."""
        return self.since + (self.trigger.after or timedelta())

    @property
    def fact_id(self) -> str:
        """The id of the fact that it has begun: the same, however often that is found."""
        return f"{self.source_id}_{str(self.trigger).replace(' ', '-')}"


@dataclass(slots=True)
class Changes:
    """What has changed among the open watches; `ended` were open before."""

    opened: dict[str, Watch] = field(default_factory=dict)
    ended: dict[str, Watch] = field(default_factory=dict)


class Watches:
    """The open watches, for the triggers that any rule names."""

    def __init__(self, triggers: Iterable[Trigger], open_now: Iterable[Watch] = ()) -> None:
        self._triggers = frozenset(triggers)
        self.open = {watch.key: watch for watch in open_now if watch.trigger in self._triggers}
        self._by_attempt: dict[tuple[TaskId, int], set[str]] = {}
        for watch in self.open.values():
            self._index(watch)
        self._changes = Changes()

    @property
    def changed(self) -> bool:
        """Whether `taken` would return anything."""
        return bool(self._changes.opened or self._changes.ended)

    def taken(self) -> Changes:
        """What has changed since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    # ------------------------------------------------------------------ from the log

    def fold(self, event: Recorded) -> list[Watch]:
        """Fold one event; the watches that it ends and that were told."""
        if event.kind == "lock":
            fact: LockPayload = event.data
            return self._end(fact["task_id"], fact["attempt"], LOCK_WAITS)
        if event.kind != "task":
            return []
        if event.event == "dispatched":
            claim: DispatchedPayload = event.data
            if claim["workspace"] is not None and claim["on_conflict"] == "wait":
                self._begin(event, LOCK_WAITS, None)
        elif event.event == "running":
            bound: BoundPayload = event.data
            self._begin(event, RUNS, bound["runner_id"])
        elif event.event == "lock-release-requested":
            asked: AttemptPayload = event.data
            return self._end(event.subject_id, asked["attempt"], AWAITING_OPERATOR)
        elif event.event in ENDS and event.attempt is not None:
            return self._end(event.subject_id, event.attempt)
        return []

    def _begin(self, event: Recorded, name: str, runner_id: RunnerId | None) -> None:
        attempt: AttemptPayload = event.data
        for trigger in self._triggers:
            if trigger.name == name:
                self.add(Watch(trigger, event.at, event.id, event.subject_id, attempt["attempt"], runner_id))

    def _end(self, task_id: TaskId, attempt: int, name: str | None = None) -> list[Watch]:
        keys = sorted(self._by_attempt.get((task_id, attempt), ()))
        found = [self.open[key] for key in keys if name is None or self.open[key].trigger.name == name]
        return [watch for watch in found if self._drop(watch).told_to]

    # ------------------------------------------------------------------ from heartbeats

    def seen(self, runner_id: RunnerId, state: RunnerState | None, heard_at: datetime) -> list[Watch]:
        """A runner is in `state` (None: it has left); the watches that this ends and that were told."""
        present = {"suspected": _RUNNER[:1], "lost": _RUNNER}.get(state or "", ())
        source_id = f"{runner_id}_{milliseconds(heard_at)}"
        ended = list[Watch]()
        for name in _RUNNER:
            watch = Watch(Trigger(name), heard_at, source_id, runner_id=runner_id)
            if name in present:
                self.add(watch)
            elif watch.key in self.open:
                ended.append(self._drop(self.open[watch.key]))
        return [watch for watch in ended if watch.told_to]

    def kept(self, attempts: Mapping[tuple[TaskId, int], RunnerId], now: datetime) -> list[Watch]:
        """`attempts` keep their locks for an operator; the watches that this ends and that were told."""
        trigger = Trigger(AWAITING_OPERATOR)
        for (task_id, attempt), runner_id in attempts.items():
            # with the time: a runner may come back, and be lost once more with the same attempt
            source_id = f"{task_id}_{attempt}_{milliseconds(now)}"
            self.add(Watch(trigger, now, source_id, task_id, attempt, runner_id))
        over = [
            watch
            for watch in self.open.values()
            if watch.trigger == trigger and (watch.task_id, watch.attempt) not in attempts
        ]
        return [watch for watch in over if self._drop(watch).told_to]

    @property
    def runners(self) -> set[RunnerId]:
        """The runners that a watch is about."""
        return {one.runner_id for one in self.open.values() if one.task_id is None and one.runner_id}

    # ------------------------------------------------------------------ both

    def add(self, watch: Watch) -> None:
        """Open a watch, if a rule names its trigger; one that is open stays as it is."""
        if watch.trigger in self._triggers and watch.key not in self.open:
            self._put(watch)

    def due(self, now: datetime) -> list[Watch]:
        """The watches whose condition has begun by `now` and was not told, the earliest first."""
        found = [watch for watch in self.open.values() if watch.told_to is None and watch.due_at <= now]
        return sorted(found, key=lambda watch: (watch.due_at, watch.key))

    def told(self, watch: Watch, channels: Iterable[str]) -> None:
        """Note which channels are told of its beginning."""
        self._put(replace(watch, told_to=tuple(channels)))

    def _put(self, watch: Watch) -> None:
        self.open[watch.key] = self._changes.opened[watch.key] = watch
        self._changes.ended.pop(watch.key, None)
        self._index(watch)

    def _index(self, watch: Watch) -> None:
        if watch.task_id is not None:
            self._by_attempt.setdefault((watch.task_id, watch.attempt), set()).add(watch.key)

    def _drop(self, watch: Watch) -> Watch:
        del self.open[watch.key]
        self._changes.opened.pop(watch.key, None)
        self._changes.ended[watch.key] = watch
        if watch.task_id is not None:
            keys = self._by_attempt[watch.task_id, watch.attempt]
            keys.discard(watch.key)
            if not keys:
                del self._by_attempt[watch.task_id, watch.attempt]
        return watch


def milliseconds(at: datetime) -> int:
    """A time as a part of an id."""
    return int(at.timestamp() * 1000)
