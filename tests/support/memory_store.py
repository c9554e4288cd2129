"""The log in memory: the same contracts as on JetStream, for tests and for trying the domain out.

One `MemoryLog` is one log; stores and readers share it. Encoding is the real one, so what passes here
has been through the stored form.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.event_store.codec import Message, decode, filter_of
from domain.evidence.audit_record import AuditData, AuditKind, AuditRecord
from domain.evidence.checkpoint import LogCheckpoint
from domain.log.filter import ALL_EVENTS, EventFilter
from domain.log.record import Recorded
from domain.ports.log import AppendConflict, LogGap
from domain.ports.queues import Backlog
from domain.protocol import Heartbeat
from domain.runners.liveness import (
    Beat,
    LeaseTerms,
    check_counter,
    check_goodbye,
    check_instance,
    check_lost,
    present,
)
from domain.services.dead_letters import DeadLetter


class MemoryLog:
    """An append-only list with the compare-and-set of the real log. Port `Appender[Message]`."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self._last: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._grown = asyncio.Event()

    async def append(self, message: Message) -> int:
        """Append behind `message.expected_seq`; the stored event is decoded from the message's bytes.

        The same message again answers where it stands.
        """
        await asyncio.sleep(0)
        if message.id in self._ids:
            return self._ids[message.id]
        if self._last.get(message.filter, 0) != message.expected_seq:
            raise AppendConflict(f"{message.filter} has moved on from {message.expected_seq}")
        seq = len(self.events) + 1
        self.events.append(decode(seq, message.subject, message.headers, message.data))
        self._last[message.filter] = self._ids[message.id] = seq
        self._grown.set()
        self._grown = asyncio.Event()
        return seq

    def of(self, filter_subject: str) -> list[Recorded]:
        """All events whose subject matches an append filter."""
        return [event for event in self.events if filter_of(event.kind, event.subject_id) == filter_subject]

    async def grown(self, beyond: int) -> None:
        """Wait until the log holds more than `beyond` events."""
        while len(self.events) <= beyond:
            await self._grown.wait()


class MemoryEvents:
    """`TaskEvents`, and what `AppenderWorkspaceLog` asks, on a MemoryLog."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def all(self, task_id: str) -> list[Recorded]:
        """See the protocol."""
        return self._log.of(filter_of("task", task_id))

    async def count(self, task_id: str) -> int:
        """See the protocol."""
        return len(self._log.of(filter_of("task", task_id)))

    async def last_registration(self, workspace: str) -> Recorded | None:
        """The last registration event of a workspace."""
        events = self._log.of(filter_of("workspace", workspace))
        return events[-1] if events else None


class MemoryLogReader:
    """Port `LogReader` on a MemoryLog."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def last_seq(self) -> int:
        """See the port."""
        return len(self._log.events)

    async def last_seq_of(self, wanted: EventFilter) -> int:
        """See the port."""
        return max((event.seq for event in self._log.events if _matches(event, wanted)), default=0)

    async def page(self, after_seq: int, limit: int, wanted: EventFilter = ALL_EVENTS) -> list[Recorded]:
        """See the port."""
        found = (event for event in self._log.events[after_seq:] if _matches(event, wanted))
        return [event for _, event in zip(range(limit), found, strict=False)]

    async def at(self, seqs: Sequence[int]) -> list[Recorded]:
        """See the port."""
        return [self._log.events[seq - 1] for seq in seqs if 0 < seq <= len(self._log.events)]

    async def seq_at(self, at: datetime) -> int:
        """See the port; the clock is that of the events."""
        return sum(event.at <= at for event in self._log.events)

    async def follow(self, after_seq: int) -> AsyncIterator[Sequence[Recorded]]:
        """See the port."""
        if after_seq > len(self._log.events):
            raise LogGap(f"the log ends at {len(self._log.events)}, but this reader has seen {after_seq}")
        position = after_seq
        while True:
            await self._log.grown(position)
            batch = self._log.events[position:]
            position += len(batch)
            yield batch


def _matches(event: Recorded, wanted: EventFilter) -> bool:
    return (
        wanted.kind in (None, event.kind)
        and wanted.subject_id in (None, event.subject_id)
        and wanted.event in (None, event.event)
    )


class MemoryDeadLetters:
    """Port `DeadLetters`; `kept` and `letters` show what is there. `trouble` is raised instead of keeping."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.letters: dict[int, DeadLetter] = {}
        self.put: list[DeadLetter] = []
        self.dropped: dict[tuple[str, str], int] = {}

    @property
    def kept(self) -> list[tuple[str, str, bytes, str, str]]:
        """Kind, subject id, body, reason and detail of all that are there."""
        return [(one.kind, one.subject_id, one.body, one.reason, one.detail) for one in self.letters.values()]

    async def keep(
        self,
        kind: str,
        subject_id: str,
        body: bytes,
        reason: str,
        detail: str,
        *,
        source: str | None = None,
        source_seq: int | None = None,
    ) -> None:
        """See the port."""
        if self.trouble is not None:
            raise self.trouble
        seq = max(self.letters, default=0) + 1
        at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.letters[seq] = DeadLetter(seq, at, kind, subject_id, reason, detail, body, source, source_seq)

    async def page(self, after: int, limit: int, kind: str | None = None) -> list[DeadLetter]:
        """See the port."""
        found = [one for one in self.letters.values() if one.seq > after and kind in (None, one.kind)]
        return found[:limit]

    async def get(self, seq: int) -> DeadLetter | None:
        """See the port."""
        return self.letters.get(seq)

    async def remove(self, seq: int) -> None:
        """See the port."""
        self.letters.pop(seq, None)

    async def put_back(self, letter: DeadLetter) -> None:
        """See the port; `put` shows what was put back."""
        self.put.append(letter)

    async def count(self, kind: str | None = None) -> int:
        """See the port."""
        return sum(kind in (None, one.kind) for one in self.letters.values())

    async def last_seq(self) -> int:
        """See the port."""
        return max(self.letters, default=0)


class MemoryAuditRecords:
    """Port `AuditRecords`; `trouble` is raised instead of adding one."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.added: list[tuple[AuditKind, AuditData]] = []

    async def add(self, kind: AuditKind, what: AuditData) -> int:
        """See the port."""
        if self.trouble is not None:
            raise self.trouble
        self.added.append((kind, what))
        return len(self.added)

    async def newest(self, kind: AuditKind, limit: int, before: int | None = None) -> list[AuditRecord]:
        """See the port."""
        numbered = enumerate(self.added, 1)
        found = [AuditRecord(number, what) for number, (of, what) in numbered if of == kind]
        return [one for one in reversed(found) if before is None or one.number < before][:limit]


class MemoryCheckpoints:
    """Port `LogCheckpoints`; `trouble` is raised by reads."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.stored: list[LogCheckpoint] = []

    async def ever(self) -> int:
        """See the port."""
        return len(self.stored)

    async def last(self) -> LogCheckpoint | None:
        """See the port."""
        if self.trouble is not None:
            raise self.trouble
        return self.stored[-1] if self.stored else None

    async def read(self, after: int = 0) -> AsyncIterator[LogCheckpoint]:
        """See the port."""
        for one in self.stored[after:]:
            if self.trouble is not None:
                raise self.trouble
            yield one

    async def append(self, checkpoint: LogCheckpoint) -> bool:
        """See the port."""
        if checkpoint.number != len(self.stored) + 1:
            return False
        self.stored.append(checkpoint)
        return True


class MemoryBacklogs:
    """Port `Backlogs`; `found` is what is there, and nobody has begun to take from `unused`."""

    def __init__(self) -> None:
        self.found: dict[str, Backlog | None] = {"dispatch": Backlog(0, None), "unused": None}

    @property
    def names(self) -> list[str]:
        """See the port."""
        return list(self.found)

    async def all(self) -> dict[str, Backlog | None]:
        """See the port."""
        return dict(self.found)


class MemoryHeartbeats:
    """Port `Heartbeats`."""

    def __init__(self, clock: Callable[[], datetime], terms: LeaseTerms | None = None) -> None:
        self._clock = clock
        self._terms = terms
        self._recent: dict[str, list[Beat]] = {}

    async def publish(self, heartbeat: Heartbeat) -> None:
        """See the port."""
        last = await self.last(heartbeat.runner_id)
        check_goodbye(heartbeat, last[0] if last is not None else None)
        if last is None or last[0].instance == heartbeat.instance:
            check_counter(heartbeat, last[0] if last is not None else None)
        elif self._terms is not None:
            check_instance(heartbeat, last, self._clock(), self._terms)
        kept = self._recent.setdefault(heartbeat.runner_id, [])
        kept[:] = [*kept[-3:], (heartbeat, self._clock())]

    async def all(self) -> list[Beat]:
        """See the port."""
        return [beats[-1] for beats in (await self.recent()).values()]

    async def recent(self) -> dict[str, list[Beat]]:
        """See the port."""
        return present({runner_id: list(self._recent[runner_id]) for runner_id in sorted(self._recent)})

    async def forget(self, runner_id: str, terms: LeaseTerms, check: Callable[[], Awaitable[None]]) -> None:
        """See the port."""
        last = await self.last(runner_id)
        check_lost(runner_id, last, self._clock(), terms)
        await check()
        kept = self._recent.pop(runner_id)
        if newer := kept[[one is last for one in kept].index(True) + 1 :]:
            self._recent[runner_id] = newer

    async def fullness(self) -> float:
        """See the port."""
        return len(self._recent) / 1000

    async def complete(self, since: datetime) -> bool:
        """See the port."""
        return True

    async def last(self, runner_id: str, within: float = 0.0, instance: str | None = None) -> Beat | None:
        """See the port."""
        kept = self._recent.get(runner_id, [])
        own = [beat for beat in kept if instance in (None, beat[0].instance)]
        return next(reversed(own or kept), None)


class MemorySnapshots:
    """Port `Snapshots`."""

    def __init__(self) -> None:
        self._saved: dict[str, tuple[int, bytes]] = {}

    async def load(self, name: str) -> tuple[int, Any] | None:
        """See the port."""
        saved = self._saved.get(name)
        return (saved[0], orjson.loads(saved[1])) if saved is not None else None

    async def latest(self, prefix: str, upto: int) -> tuple[int, Any] | None:
        """See the port."""
        named = (saved for name, saved in self._saved.items() if name.startswith(prefix))
        found = max((saved for saved in named if saved[0] <= upto), default=None)
        return (found[0], orjson.loads(found[1])) if found is not None else None

    async def save(self, name: str, seq: int, state: Any) -> None:
        """See the port."""
        if name not in self._saved or self._saved[name][0] <= seq:
            self._saved[name] = (seq, orjson.dumps(state))
