"""The harness of the API: real routes, services, lock projection and view on a log in memory."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from fastapi import FastAPI
from uuid_utils.compat import uuid7

from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.event_store.codec import Message
from adapters.event_store.lock_and_workspace_log import AppenderLockLog, AppenderWorkspaceLog
from adapters.event_store.task_cache import TaskCache
from adapters.event_store.task_codec import replay
from adapters.event_store.task_store import LogTaskStore
from api.app import begin_closing, create_app
from api.config import ApiConfig
from api.dependencies import ApiParts
from api.sessions import Sessions
from domain.errors import Invalid
from domain.log.record import Recorded
from domain.ports.read_model import (
    EventSeqs,
    Failures,
    OpenQuestions,
    PastClaim,
    TaskCounts,
    TaskFilter,
    TaskState,
    UnconfirmedCancel,
)
from domain.runners.attempt_token import AttemptTokens, JobTokens
from domain.runners.liveness import LeaseTerms
from domain.services.dead_letters import DeadLetterService
from domain.services.task_commands import TaskCommands
from domain.services.task_reports import TaskReports
from domain.services.workspaces import WorkspaceService
from domain.task.aggregate import Task
from domain.task.requested_end import on_request
from domain.task.view import NO_LOCK, LockRead, TaskRead, task_read
from infra.documents import CONTRACTS
from projections.lock_view import FoldedLockView
from projections.locks import LockProjection
from projections.time_travel import TimeTravel
from tests.support.claims import claims_of
from tests.support.memory_store import (
    MemoryAuditRecords,
    MemoryBacklogs,
    MemoryCheckpoints,
    MemoryDeadLetters,
    MemoryEvents,
    MemoryHeartbeats,
    MemoryLog,
    MemoryLogReader,
    MemorySnapshots,
)

KEY = b"test key"
Handler = Callable[[Recorded], Awaitable[None]]


def new_id() -> str:
    """A fresh UUIDv7."""
    return str(uuid7())


@dataclass
class Moment:
    """A clock that moves only when told."""

    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at


class FoldedReadModel:
    """Port `ReadModel` by replaying the log; `behind` stops it at a position."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.behind: int | None = None

    def _events(self) -> list[Recorded]:
        return self._log.events[: self.behind]

    async def position(self) -> int:
        return len(self._events())

    async def get(self, task_id: str) -> TaskRead | None:
        events = [one for one in self._events() if one.kind == "task" and one.subject_id == task_id]
        if not events:
            return None
        stored = replay(events)
        return task_read(stored.task, stored.seq, self._lock(stored.task))

    def _lock(self, task: Task) -> LockRead:
        now = (task.id, task.attempt, None)
        for one, _ in claims_of(self._events(), task.spec.workspace) if task.spec.workspace else ():
            if one.granted is not None and (one.task_id, one.attempt, one.released) == now:
                return LockRead(state="held", token=one.token, since=one.granted.at)
        return NO_LOCK

    async def states(self, ids: Sequence[str]) -> dict[str, TaskState]:
        reads = [read for one in ids if (read := await self.get(one))]
        return {read.id: TaskState(read.status.value, read.workspace) for read in reads}

    async def find(
        self, wanted: TaskFilter, limit: int, after: str | None, *, brief: bool = False
    ) -> tuple[list[TaskRead], str | None]:
        if after is not None and not after.isdigit():
            raise Invalid("bad-cursor", "use `next_cursor` as it was given")
        ids = dict.fromkeys(one.subject_id for one in self._events() if one.kind == "task")
        order = ids if wanted.oldest_first else reversed(ids)
        reads = [read for one in order if (read := await self.get(one)) and _fits(read, wanted)]
        start = int(after or 0)
        more = len(reads) > start + limit
        return reads[start : start + limit], str(start + limit) if more else None

    async def count_by_status(self) -> dict[str, int]:
        reads, _ = await self.find(TaskFilter(), 10_000, None)
        return dict(Counter(read.status.value for read in reads))

    async def count(self, wanted: TaskFilter, most: int) -> TaskCounts:
        reads, _ = await self.find(wanted, most + 1, None)
        return TaskCounts(dict(Counter(read.status.value for read in reads)), len(reads) > most)

    async def failures_since(self, at: datetime, most: int) -> Failures:
        failed = TaskFilter(("failed", "submit-failed"), finished_after=at)
        reads, _ = await self.find(failed, most, None)
        others = [one for one in reads if not on_request(one)]
        by_runner = Counter(one.runner_id for one in others).most_common()
        by_status = Counter(one.status.value for one in others)
        return Failures(by_runner, by_status, [one.title for one in others[:3]], len(reads) - len(others))

    async def unconfirmed_cancels(self, before: datetime, most: int) -> list[UnconfirmedCancel]:
        reads, _ = await self.find(TaskFilter(("dispatched", "queued", "running")), 10_000, None)
        asked = {one.subject_id: one.at for one in self._events() if one.event == "cancel-requested"}
        return [
            UnconfirmedCancel(read.id, read.title, read.runner_id, asked[read.id])
            for read in reads
            if read.cancel_requested and asked[read.id] < before
        ][:most]

    async def open_questions(self, now: datetime) -> OpenQuestions:
        reads, _ = await self.find(TaskFilter(asking=True), 10_000, None)
        asked = [(one.question.asked_at, one.id) for one in reads if one.question and one.question.waits(now)]
        return OpenQuestions(len(asked), *min(asked, default=(None, None)))

    async def created_upto(
        self, upto: int, behind: str | None, limit: int, *, oldest_first: bool = False
    ) -> list[TaskRead]:
        ids = [one.subject_id for one in self._events()[:upto] if one.event == "created"]
        ids = ids if oldest_first else ids[::-1]
        if behind is not None:
            ids = ids[ids.index(behind) + 1 :] if behind in ids else []
        found = [read for one in ids[:limit] if (read := await self.get(one))]
        for read in (one for one in found if one.workspace is not None):
            for claim, _ in claims_of(self._events(), read.workspace):
                if (claim.task_id, claim.attempt) == (read.id, read.attempt) and claim.released is not None:
                    read.lock = LockRead(state="released", token=claim.token, since=claim.released.at)
        return found

    async def claims(self, workspace: str, after: int, before: int, limit: int) -> list[PastClaim]:
        found = claims_of(self._events(), workspace)
        return [one for one in found if after < one.read.claimed.seq < before][:limit]

    async def lock_history(self, workspace: str | None, task_id: str | None, limit: int) -> list[int]:
        facts = [one for one in self._events() if one.kind == "lock"]
        return [one.seq for one in facts if task_id in (None, one.task_id)][-limit:]

    async def event_seqs(
        self, names: Sequence[str], after: int, before: int, limit: int, *, newest: bool = False
    ) -> EventSeqs:
        named = (one.seq for one in self._events() if one.event in names)
        found = sorted((seq for seq in named if after < seq < before), reverse=newest)
        return EventSeqs(found[:limit], len(self._events()))


def _inside(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return after is None and before is None
    return (after is None or at > after) and (before is None or at < before)


def _fits(read: TaskRead, wanted: TaskFilter) -> bool:
    return (
        (not wanted.status or read.status.value in wanted.status)
        and wanted.workspace in (None, read.workspace)
        and wanted.pool in (None, read.pool)
        and wanted.on_request in (None, on_request(read))
        and wanted.asking in (None, read.question is not None)
        and all(read.labels.get(name) == value for name, value in wanted.labels)
        and wanted.runner in (None, read.runner_id)
        and wanted.reason in (None, read.reason)
        and wanted.exit_code in (None, read.exit_code)
        and (not wanted.ids or read.id in wanted.ids)
        and all(word.lower() in read.title.lower() for word in wanted.words)
        and read.attempt >= (wanted.min_attempt or 0)
        and wanted.lock in (None, read.lock.state)
        and _inside(read.created_at, wanted.created_after, wanted.created_before)
        and _inside(read.finished_at, wanted.finished_after, wanted.finished_before)
        and (wanted.id_part is None or read.id.startswith(wanted.id_part) or read.id.endswith(wanted.id_part))
    )


@dataclass
class ApiHarness:
    """One API with everything behind it, and a client."""

    parts: ApiParts
    app: FastAPI
    http: httpx.AsyncClient
    log: MemoryLog
    read_model: FoldedReadModel
    dead: MemoryDeadLetters
    clock: Moment
    tokens: AttemptTokens
    readiness: dict[str, str] = field(default_factory=dict)

    async def create(self, **body: Any) -> dict[str, Any]:
        """A new task."""
        answer = await self.http.post("/tasks", json={"command": ["true"], **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def dispatched(self, **body: Any) -> dict[str, Any]:
        """A new task with its first attempt begun."""
        answer = await self.http.post("/tasks?dispatch=true", json={"command": ["true"], **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def register(self, workspace: str = "acme", root: str = "/srv/acme") -> None:
        """A workspace."""
        answer = await self.http.put(f"/workspaces/{workspace}", json={"root": root})
        assert answer.is_success, answer.text

    def just_before(self, event: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Let somebody be faster: `act` comes between the checks of the next such append and the append."""
        append = self.log.append

        async def raced(message: Message) -> int:
            if message.subject.endswith(f".{event}"):
                self.log.append = append  # type: ignore[method-assign]
                await act()
            return await append(message)

        self.log.append = raced  # type: ignore[method-assign]

    async def report(
        self, task_id: str, status: str, token: str | None = None, **body: Any
    ) -> httpx.Response:
        """One callback."""
        headers = {"X-Runner-Token": token} if token is not None else {}
        path = f"/runner/tasks/{task_id}/status"
        return await self.http.post(path, json={"status": status, **body}, headers=headers)

    async def until(self, event: str, count: int = 1) -> None:
        """Wait until `count` events of this name stand in the log and are folded."""
        async with asyncio.timeout(5):
            while sum(one.event == event for one in self.log.events) < count:
                await self.log.grown(len(self.log.events))
            assert await self.parts.view.caught_up(len(self.log.events))

    def events(self) -> list[str]:
        """The names of all events in the log."""
        return [one.event for one in self.log.events]


@asynccontextmanager
async def api_harness(
    config: ApiConfig | None = None, handlers: Mapping[str, Handler] | None = None, **overrides: Any
) -> AsyncIterator[ApiHarness]:
    """Run projection and view beside a fresh API.

    `handlers` act on events that are replayed; `overrides` replace parts.
    """
    log, clock, dead = MemoryLog(), Moment(), MemoryDeadLetters()
    events, audit = MemoryEvents(log), MemoryAuditRecords()
    reader, read_model, tokens = MemoryLogReader(log), FoldedReadModel(log), AttemptTokens(KEY)
    checkpoints = MemorySnapshots()
    view = FoldedLockView(reader, checkpoints)
    store = LogTaskStore(events, log, new_id, TaskCache(100))
    readiness: dict[str, str] = {"nats": "ok"}

    async def ready() -> dict[str, str]:
        return readiness

    reports = TaskReports(store, clock, view)
    parts = ApiParts(
        commands=TaskCommands(store, clock, view, AesGcmEnvCipher(KEY)),
        reports=reports,
        workspaces=WorkspaceService(AppenderWorkspaceLog(events.last_registration, log, new_id), view, clock),
        log=reader,
        view=view,
        past=TimeTravel(reader, checkpoints),
        read_model=read_model,
        heartbeats=MemoryHeartbeats(clock),
        backlogs=MemoryBacklogs(),
        dead_letters=dead,
        dead_letter_service=DeadLetterService(dead, reports, reader, handlers or {}, audit, clock),
        checkpoints=MemoryCheckpoints(),
        checkpoint_keys=lambda: {"0123456789abcdef": "ab" * 32},
        audit_records=audit,
        tokens=tokens,
        job_tokens=JobTokens(KEY),
        sessions=Sessions(KEY),
        clock=clock,
        new_task_id=new_id,
        readiness=ready,
        nats_version=lambda: "2.15.1",
        config=config or ApiConfig(),
        contracts=CONTRACTS,
        lease=LeaseTerms(timedelta(seconds=15), timedelta(seconds=5)),
        nats_urls=("nats://127.0.0.1:4334",),
    )
    parts = replace(parts, **overrides)
    app = create_app(parts)
    locks = LockProjection(reader, AppenderLockLog(log, new_id), MemorySnapshots(), clock)
    running = [asyncio.create_task(view.run()), asyncio.create_task(locks.run())]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
            yield ApiHarness(parts, app, http, log, read_model, dead, clock, tokens, readiness)
    finally:
        begin_closing(app)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an answer that must be this problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:towpath:problem:{code}")
    assert len(body["detail"]) > 10
    return body


async def finished(harness: ApiHarness) -> str:
    """A task that held `acme` and has ended; another one's events lie between its own."""
    if not harness.parts.view.registrations():
        await harness.register()
    released = harness.events().count("released")
    task = await harness.create(workspace="acme", env={"KEY": "hush"})
    await harness.create()
    await harness.http.post(f"/tasks/{task['id']}/dispatch")
    await harness.report(task["id"], "running")
    await harness.create()
    await harness.report(task["id"], "succeeded")
    await harness.until("released", released + 1)
    return str(task["id"])
