"""Report transports, HTTP and NATS: each answer means done or try again.

HTTP: POST to the callback URL. The runner is inside the operator's network and the URL comes from a
submission, so it calls only configured origins and follows no redirect. NATS: JetStream publish with a
message id; the acknowledgement means that the report is stored.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import httpx
import nats.errors
import orjson

from domain import subjects
from domain.context.trace import with_traceparent
from domain.protocol import RUNNER_AUTH_HEADER
from domain.subjects import Stream
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded
from runner.errors import SubmissionRefused
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.outbox.origins import check_callback_url
from runner.store.state import OutboxRow

HTTP_SECONDS = 15.0
NATS_SECONDS = 5.0
NATS_IDS = 3
TOO_LARGE = 10054
"""JetStream's code for a message that is too large for the stream."""
ANSWER_BYTES = 1024 * 1024
UNREADABLE = {400, 413, 422}
"""The report will never be accepted in this form: it is too large, or a part of it is not understood."""
BLOCKED = {429, 502, 503, 504, 507}
"""The server or a proxy accepts nothing at present; the report is not the cause."""
TRY_AGAIN = {408, 425}
MISCONFIGURED = {
    401: "the control plane does not know this attempt's token: were its TOWPATH_SECRET_KEY or "
    "API_RUNNER_CALLBACK_TOKEN changed?",
    403: "something before the control plane forbids callbacks: let them through",
}
MOVED = "redirects are not followed: set API_RUNNER_CALLBACK_BASE_URL to the address it leads to"
NOT_YET = "not-granted"
"""The runner has the submission, so the grant is recorded: an API that answers this lags behind the log."""


@dataclass(frozen=True)
class ReportAnswer:
    """The answer to one report. `detail` is for log lines: it never holds a token or a body."""

    outcome: Literal["accepted", "rejected", "retry", "blocked"]
    """`retry`: send this report again, later; `blocked`: the destination accepts no report now."""
    detail: str
    status: int | None = None
    body: bytes = b""
    after: float | None = None
    """Seconds to wait, as requested by the server."""


class ReportTransport(Protocol):
    """Sends one report once, with a timeout; returns transport errors as answers instead of raising them."""

    async def send(self, row: OutboxRow) -> ReportAnswer: ...


class HttpReports:
    """Sends reports to the callback URL of their submission."""

    def __init__(self, allowed_origins: Iterable[str], *, seconds: float = HTTP_SECONDS) -> None:
        self._seconds = seconds
        self._allowed = tuple(allowed_origins)
        # trust_env=False: no proxy from the environment sees tokens; the system's certificates still count.
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=seconds, verify=ssl.create_default_context()
        )

    async def send(self, row: OutboxRow) -> ReportAnswer:
        if row.url is None:
            return ReportAnswer("rejected", "no callback URL")
        try:
            check_callback_url(row.url, self._allowed)
            for body in bodies(row):
                answer = await self._post(row, row.url, body)
                if answer.status not in UNREADABLE:
                    break
        except SubmissionRefused as error:
            return ReportAnswer("rejected", error.message)
        except AnswerUnusable as error:
            return ReportAnswer("retry", str(error))
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            return ReportAnswer("blocked", type(error).__name__)
        return answer

    async def get(self, url: str, token: str | None) -> bytes:
        """The body of a GET beside a callback URL.

        Raises SubmissionRefused, httpx.HTTPError, OSError, and AnswerUnusable, also for another status
        than 200.
        """
        check_callback_url(url, self._allowed)
        headers = {**PLAIN, **({RUNNER_AUTH_HEADER: token} if token is not None else {})}
        async with (
            asyncio.timeout(self._seconds),
            self._client.stream("GET", url, headers=headers) as response,
        ):
            body = await bounded(response.headers, response.aiter_raw(), ANSWER_BYTES)
        if response.status_code != 200:
            raise AnswerUnusable(f"HTTP {response.status_code} {problem_kind(body)}".strip())
        return body

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, row: OutboxRow, url: str, report: str) -> ReportAnswer:
        headers = with_traceparent({"content-type": "application/json", **PLAIN})
        if row.token is not None:
            headers[RUNNER_AUTH_HEADER] = row.token
        async with (
            asyncio.timeout(self._seconds),
            self._client.stream("POST", url, content=report, headers=headers) as response,
        ):
            body = await bounded(response.headers, response.aiter_raw(), ANSWER_BYTES)
        return judge_status(response.status_code, body, response.headers.get("retry-after", ""))


class NatsReports:
    """Sends reports to `towpath.report.<task_id>`, each with a random message id.

    `duplicate: true` means that some message had that id. After a retry it is the report itself, since only
    this runner knows the id. After a first send it may be another sender's, so the report is sent with a new
    id.
    """

    def __init__(self, link: NatsLink, *, seconds: float = NATS_SECONDS) -> None:
        self._link = link
        self._seconds = seconds
        self._tried: dict[int, str] = {}
        """By outbox row: the message id of an unanswered send."""

    async def send(self, row: OutboxRow) -> ReportAnswer:
        for body in bodies(row):
            answer = await self._send(replace(row, body=body))
            if answer.outcome != "rejected":
                break
            self._tried.pop(row.id, None)
        return answer

    async def _send(self, row: OutboxRow) -> ReportAnswer:
        try:
            async with asyncio.timeout(2 * self._seconds):
                for _ in range(NATS_IDS):
                    if await self._stored(row):
                        return ReportAnswer("accepted", "stored")
                    row = replace(row, message_id=secrets.token_hex(16))
        except NATS_TROUBLE as error:
            # Only its size is the report's own fault: a full account is a "bad request", too.
            too_large = isinstance(error, nats.errors.MaxPayloadError)
            if too_large or getattr(error, "err_code", None) == TOO_LARGE:
                return ReportAnswer("rejected", str(error))
            return ReportAnswer("blocked", f"{type(error).__name__} {error}".strip())
        return ReportAnswer("retry", "the broker calls it a duplicate under every id")

    async def _stored(self, row: OutboxRow) -> bool:
        """Publish once; False if the answer is about another sender's message. Raises NATS_TROUBLE."""
        repeated = self._tried.get(row.id)
        message_id = repeated or row.message_id
        headers = with_traceparent({"Nats-Msg-Id": message_id})
        if row.token is not None:
            headers[RUNNER_AUTH_HEADER] = row.token
        subject, body = subjects.report(row.key.task_id), row.body.encode()
        stream = await self._link.jetstream()
        self._tried[row.id] = message_id
        acknowledged = await stream.publish(
            subject, body, stream=Stream.REPORT, timeout=self._seconds, headers=headers
        )
        self._tried.pop(row.id)
        return repeated is not None or not acknowledged.duplicate


def judge_status(status: int, body: bytes, retry_after: str) -> ReportAnswer:
    """What an HTTP response means for its report; docs/runners.md has the table."""
    said = f"HTTP {status} {problem_kind(body)}".strip()
    if 200 <= status < 300:
        return ReportAnswer("accepted", said, status, body)
    if status in BLOCKED:
        after = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 10 else None
        return ReportAnswer("blocked", said, status, after=after)
    if status in MISCONFIGURED or 300 <= status < 400:
        return ReportAnswer("retry", f"{said}: {MISCONFIGURED.get(status, MOVED)}", status)
    if status >= 500 or status in TRY_AGAIN or problem_kind(body) == NOT_YET:
        return ReportAnswer("retry", said, status)
    return ReportAnswer("rejected", said, status, body)


def bodies(row: OutboxRow) -> Iterator[str]:
    """Bodies to try in turn while the server rejects them as too large or unreadable.

    The report; without its output; without any text. So an end is never lost because of its text.
    """
    sent = {row.body}
    yield row.body
    report = row.report
    for smaller in (report.model_copy(update={"output_tail": None}), report.bare):
        body = smaller.model_dump_json(exclude_none=True)
        if body not in sent:
            sent.add(body)
            yield body


def answered_seq(answer: ReportAnswer) -> int | None:
    """The task's log position in the answer to a report; None if the answer has none."""
    try:
        seq = orjson.loads(answer.body)["seq"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return seq if isinstance(seq, int) else None


def problem_kind(body: bytes) -> str:
    """The last part of an RFC 9457 problem's `type`, such as `stale-attempt`; "" if it has none."""
    try:
        kind = orjson.loads(body)["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return ""
    return str(kind).rstrip("/").replace("#", "/").replace(":", "/").rsplit("/", 1)[-1][:80]
