"""Teller: makes messages of events and conditions, for the channels whose rules take them.

A task is read as it was at the event, in one or two bounded requests, and only where a rule names the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.identifiers import LogSeq, RunnerId, TaskId
from domain.locks.view import LockEntry
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.notices.message import Message, condition_message, event_message
from domain.notices.rules import RECOVERED, Fact, Rules, Subject, Trigger
from domain.notices.watches import Watch
from domain.ports.lock_view import LockView
from domain.ports.log import LogReader, StoredTask, TaskStore
from domain.protocol import Heartbeat
from domain.task.aggregate import Task
from domain.task.explain import Blocker, blockers, explain
from domain.task.view import NO_LOCK, TaskRead, task_read

_NOW = LogSeq(2**63 - 1)
MOST_HELD = 100
"""Tasks of a runner that are read, for the filters of rules."""


@dataclass(frozen=True, slots=True)
class Told:
    """A message, and the channels that get it."""

    fact: Fact
    message: Message
    channels: Sequence[str]


class Teller:
    """Knows the rules, and reads what a message tells."""

    def __init__(
        self, rules: Rules, log: LogReader, tasks: TaskStore, view: LockView, base_url: str | None
    ) -> None:
        self.rules = rules
        self._log = log
        self._tasks = tasks
        self._view = view
        self._base_url = base_url

    def asks_for(self, event: Recorded) -> bool:
        """Whether any rule names this event."""
        return Trigger(event.event) in self.rules.triggers

    async def of_event(self, event: Recorded) -> Told | None:
        """What is told of an event that a rule names; None if no rule takes it."""
        stored = await self._tasks.load_at(event.task_id, event.seq) if event.task_id is not None else None
        task = stored.task if stored is not None else None
        fact = Fact(event.id, Trigger(event.event), event.at, (subject_for(task, event.workspace),))
        channels = self.rules.channels(fact)
        if not channels:
            return None
        read, why = None, None
        if stored is not None:
            last = await self._that_explains(stored, event)
            read, why = await self._explained(stored.task, stored.seq, last, event.at)
        return Told(fact, event_message(event, read, why, self._base_url), channels)

    async def of_beginning(self, watch: Watch, beat: Heartbeat | None, now: datetime) -> Told:
        """What is told of a condition that has begun; perhaps to no channel."""
        read, why, subjects = None, None, list[Subject]()
        if watch.task_id is not None:
            stored = await self._load(watch.task_id)
            if stored is not None:
                subjects.append(subject_for(stored.task, None))
                read, why = await self._now(stored.task, stored.seq, now)
        else:
            subjects += await self._subjects_of_runner(watch.runner_id, beat)
        fact = Fact(watch.fact_id, watch.trigger, watch.due_at, tuple(subjects))
        seconds = (now - watch.since).total_seconds()
        message = condition_message(fact, read, why, seconds, self._base_url)
        return Told(fact, message, self.rules.channels(fact))

    async def of_end(self, watch: Watch, at: datetime) -> Told | None:
        """What is told of the end of a condition; None where no channel asks for it."""
        channels = self.rules.channels_of_end(watch.trigger, watch.told_to or ())
        if not channels:
            return None
        read, why, subject = None, None, Subject(runner_id=watch.runner_id)
        stored = await self._load(watch.task_id) if watch.task_id is not None else None
        if stored is not None:
            subject = subject_for(stored.task, None)
            read, why = await self._now(stored.task, stored.seq, at)
        fact = Fact(f"{watch.fact_id}_{RECOVERED}", Trigger(RECOVERED), at, (subject,), watch.trigger)
        seconds = max((at - watch.since).total_seconds(), 0.0)
        return Told(fact, condition_message(fact, read, why, seconds, self._base_url), channels)

    async def of_dead_letter(self, fact: Fact, detail: str) -> Told:
        """What is told of a dead letter."""
        message = condition_message(fact, None, None, None, self._base_url, detail)
        return Told(fact, message, self.rules.channels(fact))

    async def subject_of(self, task_id: TaskId) -> Subject | None:
        """What rules filter a task by; None if it does not exist."""
        stored = await self._load(task_id)
        return subject_for(stored.task, None) if stored is not None else None

    async def _subjects_of_runner(self, runner_id: RunnerId | None, beat: Heartbeat | None) -> list[Subject]:
        pools = tuple(beat.pools) if beat is not None else ()
        found = list[Subject]()
        for held in beat.held[:MOST_HELD] if beat is not None else ():
            subject = await self.subject_of(held.task_id)
            if subject is not None:
                found.append(
                    Subject(
                        subject.task_id, subject.title, subject.workspace, pools, subject.labels, runner_id
                    )
                )
        return found or [Subject(pools=pools, runner_id=runner_id)]

    async def _now(self, task: Task, seq: LogSeq, now: datetime) -> tuple[TaskRead, str | None]:
        (last,) = await self._log.at([seq])
        return await self._explained(task, seq, last, now)

    async def _that_explains(self, stored: StoredTask, event: Recorded) -> Recorded:
        """The event that `explain` wants: the task's last one, or the one that ended it."""
        task, seq = stored.task, stored.seq
        if task.ended and event.event != task.status.value:
            seq = await self._log.last_seq_of(EventFilter("task", task.id, task.status.value))
        if seq == event.seq:
            return event
        (last,) = await self._log.at([seq])
        return last

    async def _load(self, task_id: TaskId) -> StoredTask | None:
        """The task as it is: not `load`, whose cache only this process's own appends keep current."""
        return await self._tasks.load_at(task_id, _NOW)

    async def _explained(
        self, task: Task, seq: LogSeq, last: Recorded, now: datetime
    ) -> tuple[TaskRead, str]:
        """The task, and the sentence of `towpath why`."""
        lock, entry = NO_LOCK, None
        if task.spec.workspace is not None and not task.ended:
            waits = self._view.waiting(task.id, task.attempt)
            lock = waits or self._view.lock_of(task)
            entry = self._view.in_the_way(task.spec.workspace, task.id, task.attempt) if waits else None
        read = task_read(task, seq, lock)
        found = await self._in_the_way(read, entry)
        return read, explain(read, last, found, now=now).sentence

    async def _in_the_way(self, read: TaskRead, entry: LockEntry | None) -> list[Blocker]:
        found = blockers(read, entry)
        if found and (first := await self._load(found[0].task_id)) is not None:
            found[0].title = first.task.spec.title
        return found


def subject_for(task: Task | None, workspace: str | None) -> Subject:
    """What rules filter an event by: its task, or the workspace that it names."""
    if task is None:
        return Subject(workspace=workspace)
    spec = task.spec
    return Subject(task.id, spec.title, spec.workspace, (spec.pool,), spec.labels, task.runner_id)
