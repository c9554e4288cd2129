"""Operators' service for dead letters: list, show, replay, drop.

A replay takes the message's ordinary path, so that the same rules decide: a report is applied, an event is
handled, a deadline comes due again. The letter is removed only after that and after an audit record says who
did it. A crash in between keeps it, and replaying it again is idempotent. Secrets never leave this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from domain.context.redaction import without_secrets
from domain.errors import DomainError, NotFound, Refused
from domain.evidence.audit_record import AuditData
from domain.identifiers import LogSeq, check_task_id
from domain.log.record import Recorded
from domain.ports.evidence import AuditRecords
from domain.ports.log import Clock, LogReader
from domain.protocol import Submission, rfc3339
from domain.runners.report_reader import read_said
from domain.services.task_reports import TaskReports, record_said
from domain.task.transitions import Status
from domain.validation.json_reader import parsed, read_json, sendable

Outcome = Literal["recorded", "stale", "handled", "sent", "queued"]
DISPATCH = "dispatch"
HEARTBEAT = "heartbeat"
DUE = "due-"
_FINAL = {
    "conflicting-end": "the attempt ended another way and the first end stands",
    "unauthorised": "its sender sent no valid token; let the runner report again with its token",
    "wrong-token": "its token belonged to another attempt; let the runner report again with its token",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter. `kind`: `report`, `submit`, `heartbeat`, `due-<kind>`, or the name of an event queue.

    `subject_id` names its task, pool or runner. `source` is the subject that it came from and `source_seq`
    its sequence there, if known. `body` may hold secrets: show `shown_body` instead.
    """

    seq: int
    at: datetime
    kind: str
    subject_id: str
    reason: str
    detail: str
    body: bytes
    source: str | None = None
    source_seq: int | None = None

    @property
    def shown_body(self) -> Any:
        """The body as JSON without secrets; None if it is no JSON, since secrets could not be found in it."""
        try:
            return without_secrets(sendable(read_json(self.body)))
        except (ValueError, RecursionError):
            return None


class DeadLetters(Protocol):
    """Messages that could not be applied, kept with the reason."""

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
        """Store `body` under `towpath.dead.<kind>.<subject_id>`."""
        ...

    async def page(self, after: int, limit: int, kind: str | None = None) -> list[DeadLetter]:
        """Up to `limit` letters after sequence `after`, in order."""
        ...

    async def get(self, seq: int) -> DeadLetter | None:
        """One letter, from the leader; None if it was removed."""
        ...

    async def remove(self, seq: int) -> None:
        """Remove a letter; idempotent."""
        ...

    async def put_back(self, letter: DeadLetter) -> None:
        """Publish its body again on its source subject."""
        ...

    async def count(self, kind: str | None = None) -> int:
        """The number of letters, or of those of one kind."""
        ...

    async def last_seq(self) -> int:
        """The sequence of the newest letter, even if it was removed."""
        ...

    @property
    def dropped(self) -> Mapping[tuple[str, str], int]:
        """Letters of each kind and reason that this process has dropped because too many were alike."""
        ...


class DeadLetterService:
    """Operators' commands on dead letters.

    `handlers`: the handler of each event queue, by the queue's name.
    """

    def __init__(
        self,
        letters: DeadLetters,
        tasks: TaskReports,
        log: LogReader,
        handlers: Mapping[str, Callable[[Recorded], Awaitable[None]]],
        records: AuditRecords,
        clock: Clock,
    ) -> None:
        self._letters = letters
        self._tasks = tasks
        self._log = log
        self._handlers = handlers
        self._records = records
        self._clock = clock

    async def get(self, seq: int) -> DeadLetter:
        """One letter; NotFound if it does not exist."""
        letter = await self._letters.get(seq)
        if letter is None:
            raise NotFound(
                "no-such-dead-letter",
                f"there is no dead letter {seq}; GET /dead lists them, GET /dead/settled what was done with "
                "earlier ones",
            )
        return letter

    async def drop(self, seq: int, actor: str, reason: str) -> DeadLetter:
        """Remove a letter for good, and return it."""
        letter = await self.get(seq)
        await self._settle(letter, actor, action="dropped", note=reason)
        return letter

    async def _settle(self, letter: DeadLetter, actor: str, **done: str) -> None:
        """Record who did what with the letter, then remove it: none goes without a record."""
        about = {
            "seq": letter.seq,
            "kept_at": rfc3339(letter.at),
            "kind": letter.kind,
            "subject": letter.subject_id,
            "reason": letter.reason,
            "detail": letter.detail,
            "size": len(letter.body),
        }
        what = AuditData(at=self._clock(), by=actor, data=about | done)
        await self._records.add("dead-letter", what)
        await self._letters.remove(letter.seq)

    async def replay(self, seq: int, actor: str) -> tuple[DeadLetter, Outcome]:
        """Process the message again, and remove the letter.

        Raises:
            NotFound: the letter was removed.
            Refused: `not-replayable`, with the reason; or the processing refused it. The letter stays.
            Busy, LogFull: try again later. The letter stays.
        """
        letter = await self.get(seq)
        outcome = await self._way(letter)
        await self._settle(letter, actor, action="replayed", outcome=outcome)
        return letter, outcome

    async def _way(self, letter: DeadLetter) -> Outcome:
        if letter.kind == "report":
            return await self._report(letter)
        if letter.kind == "submit":
            return await self._submit(letter)
        if letter.kind in self._handlers and letter.source_seq is not None:
            await self._handle(letter.kind, letter.source_seq)
            return "handled"
        if letter.kind.startswith(DUE) and letter.source is not None:
            await self._letters.put_back(letter)
            return "queued"
        if letter.kind == HEARTBEAT:
            raise _not_replayable("its runner's next heartbeat has replaced it; mend what the reason says")
        raise _not_replayable("nothing says where it came from")

    async def _report(self, letter: DeadLetter) -> Outcome:
        if letter.reason in _FINAL:
            raise _not_replayable(_FINAL[letter.reason])
        try:
            task_id = check_task_id(letter.subject_id)
            said = read_said(letter.body)
        except ValueError as error:
            raise _not_replayable(
                f"it is no report of a task: {letter.detail or type(error).__name__}"
            ) from error
        stored = await record_said(self._tasks, task_id, said, None, "nats")
        return "recorded" if stored.recorded else "stale"

    async def _submit(self, letter: DeadLetter) -> Outcome:
        try:
            submission = parsed(Submission, letter.body)
        except ValidationError as error:
            raise _not_replayable(
                "it is no submission that this version knows; dispatch its task again once it has ended"
            ) from error
        task_id, attempt = submission.task_id, submission.attempt
        stored = await self._tasks.read(task_id)
        if not stored.task.is_open(attempt, Status.DISPATCHED):
            raise _not_replayable(f"attempt {attempt} of task {task_id} no longer waits for a runner")
        # Dispatch acts on the grant, or on `dispatched` if the attempt needs no lock. The old message cannot
        # be sent again: its secrets are masked.
        await self._handle(DISPATCH, submission.workspace.lock_token if submission.workspace else stored.seq)
        return "sent"

    async def _handle(self, queue: str, seq: int) -> None:
        try:
            found = await self._log.at([LogSeq(seq)])
            if not found:
                raise _not_replayable(f"the log has no event at {seq}")
            await self._handlers[queue](found[0])
        except DomainError:
            raise
        except Exception as error:
            raise Refused(
                "replay-failed", f"it failed again with {type(error).__name__}; see the API's log lines"
            ) from error


def _not_replayable(why: str) -> Refused:
    return Refused("not-replayable", f"it cannot be replayed: {why}. Drop it when you have seen it")
