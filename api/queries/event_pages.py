"""Pages of the log by filter, each complete up to the position it names.

Events of some name are found with the read model's index (`named_events.py`); filters that the log supports
are applied there. The trail of one task is its own subject plus its lock events: the read model knows their
sequences up to its position, later ones are found in the workspace's lock events. Any other filter scans the
log in bounded steps: such a page may be short and still name where to continue. No page is based on a replica
that lags unnoticed. `newest_events.py` has pages from the other end.

A filter of the log costs more the longer it is, so a step is scanned before: common events fill the page.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from api.dependencies import ApiParts
from api.queries import named_events
from domain.actors import is_by
from domain.errors import Busy
from domain.identifiers import LOG_START, LogSeq, TaskId, WorkspaceId
from domain.log.events import EVENTS
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.position import MAX_SEQ
from domain.log.record import Recorded
from domain.ports.log import LogGap
from domain.runners.runner_key import is_named

SCAN_STEP = 500
SCAN_STEPS = 20
LOCK_FACTS = 10_000
CACHED_TASKS = 10_000
_KIND_OF = {event: kind for kind, event in EVENTS if kind != "task"}


@dataclass(frozen=True, slots=True)
class EventSelection:
    """A filter of events. None matches everything; all given fields must match."""

    task_id: TaskId | None = None
    workspace: WorkspaceId | None = None
    events: tuple[str, ...] = ()
    """Names, any of which matches; none: every name."""
    actor: str | None = None
    upto: LogSeq | None = None
    """Only events up to this sequence."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """`events` in order. Every matching event at or before `upto` is in this page or an earlier one.

    `more`: events after `upto` exist, or may exist.
    """

    events: list[Recorded]
    upto: LogSeq
    more: bool


class EventPages:
    """Reads pages; caches the workspaces of at most CACHED_TASKS tasks."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts = parts
        self._workspaces: OrderedDict[TaskId, WorkspaceId | None] = OrderedDict()

    async def page(self, wanted: EventSelection, after: LogSeq, limit: int) -> EventPage:
        """Up to `limit` events after `after`, read in the cheapest way that the filter permits."""
        if wanted.task_id is not None:
            return _until(await self.of_task(wanted.task_id, after, limit, wanted), wanted)
        stored = stored_filters(wanted)
        if stored == [ALL_EVENTS]:
            events = await self._parts.log.page(after, limit)
            return _until(EventPage(events, _end_of(events, after), len(events) == limit), wanted)
        begun = (
            await self._indexed(wanted, after, limit) if is_by_name(wanted) else EventPage([], after, True)
        )
        if len(begun.events) == limit:
            return _until(begun, wanted)
        left = limit - len(begun.events)
        page = await self.scan(wanted, begun.upto, left, 1 if stored else SCAN_STEPS)
        page = EventPage([*begun.events, *page.events], page.upto, page.more)
        if stored and page.more and len(page.events) < limit:
            page = await self._stored(stored, page, limit)
        return _until(page, wanted)

    async def _indexed(self, wanted: EventSelection, after: LogSeq, limit: int) -> EventPage:
        """As much of the page as the read model's index knows; nothing if it is of another log."""
        before = LogSeq((wanted.upto if wanted.upto is not None else MAX_SEQ) + 1)
        parts, names = self._parts, wanted.events
        found = await named_events.find(parts.read_model, names, after, before, limit, newest=False)
        events = await named_events.read(parts.log, names, found.seqs)
        if events is None:
            return EventPage([], after, True)
        upto = events[-1].seq if len(events) == limit else max(after, found.position)
        return EventPage(events, upto, True)

    async def _stored(self, stored: Sequence[EventFilter], begun: EventPage, limit: int) -> EventPage:
        """The rest of the page `begun` by the log's own filters."""
        log, after, left = self._parts.log, begun.upto, limit - len(begun.events)
        if len(stored) == 1:
            events = await log.page(after, left, stored[0])
            return EventPage([*begun.events, *events], _end_of(events, after), len(events) == left)
        ends = await asyncio.gather(*(log.last_seq_of(one) for one in stored))
        found = await asyncio.gather(*(log.page(after, left, one) for one in stored))
        for events, end in zip(found, ends, strict=True):
            if len(events) < left and _end_of(events, after) < end:
                raise lagging()
        merged = sorted((event for events in found for event in events), key=lambda event: event.seq)
        events = merged[:left]
        return EventPage([*begun.events, *events], _end_of(events, after), len(events) == left)

    async def of_task(
        self, task_id: TaskId, after: LogSeq, limit: int, wanted: EventSelection | None = None
    ) -> EventPage:
        """The trail: the task's events and its lock events, merged in the log's order.

        Raises:
            NotFound: no such task.
            Busy: a replica lags behind an answer of the leader.
        """
        end = await self._parts.log.last_seq()
        stored = await self._parts.commands.read(task_id)
        version, last, workspace = stored.task.version, stored.seq, stored.task.spec.workspace
        events = await self._task_events(task_id, after, limit, version) if last > after else []
        whole = last <= (events[-1].seq if events else after)
        if not whole and len(events) < limit:
            raise lagging()
        horizon = max(end, last) if whole else events[-1].seq
        facts = await self._lock_facts(task_id, workspace, after, horizon, limit) if workspace else []
        merged = sorted([*events, *facts], key=lambda event: event.seq)
        page = merged[:limit]
        more = len(merged) > limit or not whole
        upto = page[-1].seq if more else max(after, horizon)
        return EventPage([event for event in page if _fits(event, wanted, workspace)], upto, more)

    async def whole_trail(
        self, task_id: TaskId, upto: LogSeq, wanted: EventSelection | None = None
    ) -> list[Recorded]:
        """The trail up to `upto`, or those of its events that `wanted` selects."""
        found, at, more = list[Recorded](), LOG_START, True
        while more and at < upto:
            page = await self.of_task(task_id, at, SCAN_STEP, wanted)
            found += [event for event in page.events if event.seq <= upto]
            at, more = page.upto, page.more
        return found

    async def of_attempts(
        self, task_id: TaskId, after: LogSeq, limit: int
    ) -> tuple[list[Recorded], LogSeq | None]:
        """The events of up to `limit` attempts that begin after `after`, and after what the next ones begin.

        Raises:
            NotFound: no such task.
            Busy: a replica lags behind an answer of the leader.
        """
        end = await self._parts.log.last_seq()
        stored = await self._parts.commands.read(task_id)
        version, last, workspace = stored.task.version, stored.seq, stored.task.spec.workspace
        events, begun, at, following = list[Recorded](), 0, after, None
        while at < last and following is None:
            batch = await self._task_events(task_id, at, SCAN_STEP, version)
            if not batch:
                raise lagging()
            at = batch[-1].seq
            for event in batch:
                begun += event.event == "dispatched"
                if begun > limit:
                    following = events[-1].seq
                    break
                events.append(event)
        if workspace is not None:
            events += await self._lock_facts(task_id, workspace, after, max(end, last), LOCK_FACTS)
        return sorted(events, key=lambda event: event.seq), following

    async def scan(self, wanted: EventSelection, after: LogSeq, limit: int, steps: int) -> EventPage:
        """Filter the log itself, at most `steps` steps of SCAN_STEP events.

        Raises:
            LogGap: the log is not contiguous.
        """
        found: list[Recorded] = []
        for _ in range(steps):
            if wanted.upto is not None and after >= wanted.upto:
                return EventPage(found, after, False)
            batch = await self._parts.log.page(after, SCAN_STEP)
            for event in batch:
                if event.seq != after + 1:
                    raise LogGap(f"the log has no event at sequence {after + 1}; run `towpath verify`")
                after = event.seq
                if await self.matches(event, wanted):
                    found.append(event)
                    if len(found) == limit:
                        return EventPage(found, after, True)
            if len(batch) < SCAN_STEP:
                return EventPage(found, after, False)
        return EventPage(found, after, True)

    async def _task_events(self, task_id: TaskId, after: LogSeq, limit: int, version: int) -> list[Recorded]:
        """After `after`: all of a task's events, or the next `limit` of a very long one.

        Their exact number is requested, since a request for more scans to the log's end.
        """
        of_task = EventFilter("task", task_id)
        if version > SCAN_STEP:
            return await self._parts.log.page(after, limit, of_task)
        events = await self._parts.log.page(LOG_START, version, of_task)
        return [event for event in events if event.seq > after]

    async def lock_facts(self, task_id: TaskId, workspace: WorkspaceId, upto: LogSeq) -> list[Recorded]:
        """The task's lock events up to `upto`, in order. Busy if a replica lags."""
        return await self._lock_facts(task_id, workspace, LOG_START, upto, LOCK_FACTS)

    async def _lock_facts(
        self, task_id: TaskId, workspace: WorkspaceId, after: LogSeq, horizon: LogSeq, limit: int
    ) -> list[Recorded]:
        """The task's lock events after `after` up to `horizon`; of many, at least the first `limit`."""
        log, at = self._parts.log, max(await self._parts.read_model.position(), after)
        of_workspace = EventFilter("lock", workspace)
        history = await self._parts.read_model.lock_history(None, task_id, LOCK_FACTS)
        seqs = [seq for seq in history if after < seq <= horizon][: limit + 1]
        facts = {event.seq: event for event in await log.at(seqs)}
        last = min(await log.last_seq_of(of_workspace), horizon) if at < horizon else 0
        for _ in range(SCAN_STEPS):
            if at >= last:
                return [fact for _, fact in sorted(facts.items())]
            batch = await log.page(at, SCAN_STEP, of_workspace)
            if not batch:
                raise lagging()
            at = batch[-1].seq
            facts.update(
                {fact.seq: fact for fact in batch if fact.task_id == task_id and fact.seq <= horizon}
            )
        raise Busy("busy", "the read model is being rebuilt; send the same request again later")

    async def matches(self, event: Recorded, wanted: EventSelection) -> bool:
        """Whether `wanted` selects the event."""
        if wanted.events and event.event not in wanted.events:
            return False
        if wanted.task_id is not None and event.task_id != wanted.task_id:
            return False
        if not _by(event, wanted.actor):
            return False
        return wanted.workspace is None or wanted.workspace == await self._workspace_of(event)

    async def _workspace_of(self, event: Recorded) -> WorkspaceId | None:
        if event.kind != "task":
            return event.workspace
        task_id: TaskId = event.subject_id
        if event.event == "created":
            self._remember(task_id, event.workspace)
        elif task_id not in self._workspaces:
            self._remember(task_id, await self._look_up(task_id))
        self._workspaces.move_to_end(task_id)
        return self._workspaces[task_id]

    async def _look_up(self, task_id: TaskId) -> WorkspaceId | None:
        read = await self._parts.read_model.get(task_id)
        if read is not None:
            return read.workspace
        created = await self._parts.log.page(LOG_START, 1, EventFilter("task", task_id, "created"))
        return created[0].workspace if created else None

    def _remember(self, task_id: TaskId, workspace: WorkspaceId | None) -> None:
        self._workspaces[task_id] = workspace
        if len(self._workspaces) > CACHED_TASKS:
            self._workspaces.popitem(last=False)


def lagging() -> Busy:
    """The error for a read that lacks events which the leader has."""
    return Busy("busy", "a replica of the log lags behind; send the same request again")


def _fits(event: Recorded, wanted: EventSelection | None, workspace: WorkspaceId | None) -> bool:
    """Apply the other filters to events of one task in `workspace`."""
    if wanted is None:
        return True
    if wanted.workspace is not None and wanted.workspace != workspace:
        return False
    if not _by(event, wanted.actor):
        return False
    return not wanted.events or event.event in wanted.events


def _by(event: Recorded, actor: str | None) -> bool:
    return actor is None or is_by(event.actor, actor) or is_named(event.actor, actor)


def is_by_name(wanted: EventSelection) -> bool:
    """Whether the names of events alone decide."""
    return bool(wanted.events) and (wanted.task_id, wanted.workspace, wanted.actor) == (None, None, None)


def stored_filters(wanted: EventSelection) -> list[EventFilter]:
    """The log's own filters that select the same together; none if there are none."""
    if wanted.actor is not None:
        return []
    if wanted.workspace is None:
        return [EventFilter(event=name) for name in wanted.events] or [ALL_EVENTS]
    kinds = [_KIND_OF.get(name) for name in wanted.events]
    return [
        EventFilter(kind, wanted.workspace, name)
        for kind, name in zip(kinds, wanted.events, strict=True)
        if kind is not None and None not in kinds
    ]


def _end_of(events: Sequence[Recorded], after: LogSeq) -> LogSeq:
    return events[-1].seq if events else after


def _until(page: EventPage, wanted: EventSelection) -> EventPage:
    """The page without events after `wanted.upto`."""
    end = wanted.upto
    if end is None or page.upto < end:
        return page
    return EventPage([event for event in page.events if event.seq <= end], min(page.upto, end), False)
