"""Dead letters on `towpath.dead.<kind>.<id>`, kept for 14 days; headers hold the reason.

Runners publish letters, too, so a stored letter may lack headers or hold any bytes: every field has a
default.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from nats.aio.client import Client

from adapters.nats.jetstream_api import JetStreamApi, RawMessage
from adapters.nats.publish import publish
from adapters.queues.dead_letter_budget import DeadLetterBudget, size_of
from domain import subjects
from domain.runners.report_reader import read_report
from domain.services.dead_letters import DeadLetter
from domain.subjects import Stream
from domain.validation.headers import header
from domain.validation.outside_text import storable

DETAIL_CHARS = 1000
NAME_CHARS = 200
"""Of kind, subject and reason; runners' letters may bring longer ones, which no audit record would hold."""
LOOKED_AT_ONLY = frozenset({"invalid-report", "unauthorised", "wrong-token"})
"""Reasons of reports that cannot be replayed."""
LOOKED_AT_BYTES = 8 * 1024
"""How much of a body that cannot be replayed is kept, for operators to look at."""
MOST_BODY_BYTES = 64 * 1024
_BODY_GOES_BACK = ("due-", "submit")
_SUBMIT = subjects.prefix("submit")
_REASON, _DETAIL, _SOURCE, _SOURCE_SEQ = (
    "towpath-reason",
    "towpath-detail",
    "towpath-source",
    "towpath-source-seq",
)
_STREAMS = {subjects.prefix("timer"): Stream.TIMER}


class JetStreamDeadLetters:
    """Port `DeadLetters`."""

    def __init__(self, connection: Client) -> None:
        self._nc = connection
        self._api = JetStreamApi(connection, Stream.DEAD)
        self._budget = DeadLetterBudget(self._api)

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
        """See the port. An identical letter within two minutes is stored once.

        Runners may publish letters, too, and could use the id of a later one: a duplicate therefore counts as
        kept only if the stored letter is identical.
        """
        token = quote(storable(subject_id), safe="").replace(".", "%2E")[:100] or "unknown"
        digest = hashlib.sha256(
            storable(f"{kind}\n{subject_id}\n{reason}\n{detail}\n").encode() + body
        ).hexdigest()
        headers = {
            "Nats-Msg-Id": digest,
            _REASON: quote(storable(reason)),
            _DETAIL: quote(storable(detail)[:DETAIL_CHARS], safe=" :,.;'()/-_"),
        }
        if source is not None:
            headers[_SOURCE] = source
        if source_seq is not None:
            headers[_SOURCE_SEQ] = str(source_seq)
        subject = subjects.dead(kind, token)
        body = _cut(kind, reason, body)
        kept = await publish(self._nc, Stream.DEAD, subject, body, headers)
        if kept.duplicate and not await self._stands(kept.seq, subject, body, headers):
            headers["Nats-Msg-Id"] = f"{digest}.{secrets.token_hex(16)}"
            kept = await publish(self._nc, Stream.DEAD, subject, body, headers)
        if not kept.duplicate:
            await self._budget.kept(kind, reason, kept.seq, size_of(subject, headers, body))

    async def _stands(self, seq: int, subject: str, body: bytes, headers: dict[str, str]) -> bool:
        """Whether the letter at `seq` is this one."""
        raw = await self._api.get(seq)
        if raw is None or (raw.subject, raw.data) != (subject, body):
            return False
        return all(raw.headers.get(name) == value for name, value in headers.items() if name != "Nats-Msg-Id")

    @property
    def dropped(self) -> dict[tuple[str, str], int]:
        """See the port."""
        return dict(self._budget.dropped)

    async def full(self) -> list[tuple[str, str]]:
        """The kinds and reasons whose budget is used up, so that older letters are dropped."""
        return await self._budget.full()

    async def page(self, after: int, limit: int, kind: str | None = None) -> list[DeadLetter]:
        """See the port."""
        return [_letter(raw) for raw in await self._api.batch(_subject(kind), after + 1, limit)]

    async def get(self, seq: int) -> DeadLetter | None:
        """See the port."""
        raw = await self._api.get(seq) if seq > 0 else None
        return _letter(raw) if raw is not None else None

    async def remove(self, seq: int) -> None:
        """See the port."""
        await self._api.delete(seq)

    async def put_back(self, letter: DeadLetter) -> None:
        """See the port. `source` must be a subject of TOWPATH_TIMER."""
        assert letter.source is not None
        stream = next(name for prefix, name in _STREAMS.items() if letter.source.startswith(prefix))
        await publish(self._nc, stream, letter.source, letter.body, {})

    async def count(self, kind: str | None = None) -> int:
        """See the port."""
        if kind is not None:
            return await self._api.count(_subject(kind))
        return int((await self._api.info())["state"]["messages"])

    async def last_seq(self) -> int:
        """See the port."""
        return int((await self._api.info())["state"]["last_seq"])


def _subject(kind: str | None) -> str:
    return subjects.under("dead", kind) if kind else subjects.under("dead")


def _cut(kind: str, reason: str, body: bytes) -> bytes:
    """The body to keep: whole if small, else the parsed report, or the beginning."""
    if len(body) <= LOOKED_AT_BYTES:
        return body
    if kind == "report" and reason not in LOOKED_AT_ONLY:
        with contextlib.suppress(ValueError):
            return read_report(body).model_dump_json(exclude_none=True).encode()[:MOST_BODY_BYTES]
    return body[: MOST_BODY_BYTES if kind.startswith(_BODY_GOES_BACK) else LOOKED_AT_BYTES]


def _letter(raw: RawMessage) -> DeadLetter:
    _, _, kind, *rest = raw.subject.split(".")
    headers = raw.headers
    source, source_seq = header(headers, _SOURCE), header(headers, _SOURCE_SEQ) or ""
    subject_id = unquote(".".join(rest))
    if kind == "submit" and source is not None and source.startswith(_SUBMIT):
        subject_id = source.removeprefix(_SUBMIT)  # runners share one subject for all pools
    return DeadLetter(
        seq=raw.seq,
        at=_time(raw.time or headers.get("Nats-Time-Stamp", "")),
        kind=kind[:NAME_CHARS],
        subject_id=subject_id[:NAME_CHARS],
        reason=unquote(header(headers, _REASON) or "unknown")[:NAME_CHARS],
        detail=unquote(header(headers, _DETAIL) or "")[:DETAIL_CHARS],
        body=raw.data,
        source=source,
        source_seq=int(source_seq) if source_seq.isdecimal() else None,
    )


def _time(text: str) -> datetime:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    return datetime.fromtimestamp(0, UTC)
