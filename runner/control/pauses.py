"""Reads the pauses of one attempt, from the log or, without NATS, from the API.

Both read what the leader has, so that a question that was asked before the read is seen.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

import httpx
import orjson
from pydantic import ValidationError

from domain.log.payloads import AskedPayload
from domain.task.pauses import Pauses, pause_seconds
from domain.validation.bounded_response import AnswerUnusable
from domain.validation.json_reader import parsed
from runner.control.start_gate import FINAL_EVENTS, STOP_EVENTS
from runner.control.task_log import StoredEvent, TaskLog
from runner.errors import SubmissionRefused
from runner.nats_link import NATS_TROUBLE
from runner.outbox.transports import HttpReports
from runner.store.state import Attempt

READ_SECONDS = 10.0
_ENDED_BY = {"answered"} | STOP_EVENTS | FINAL_EVENTS


class PausesUnknown(Exception):
    """The pauses could not be read; the message says why."""


class PauseReader(Protocol):
    """Reads the pauses of one attempt, as they are when the read begins or later."""

    async def read(self) -> Pauses:
        """Raises PausesUnknown."""
        ...


class LogPauses:
    """Folds the task's events; each read continues after the last one."""

    def __init__(self, task_log: TaskLog, attempt: Attempt) -> None:
        self._log = task_log
        self._key = attempt.key
        self._after = 0
        self._ended = 0.0
        self._open: tuple[datetime, datetime | None] | None = None

    async def read(self) -> Pauses:
        try:
            async with asyncio.timeout(READ_SECONDS):
                while (event := await self._log.next_event(self._key.task_id, self._after)) is not None:
                    self._apply(event)
                    self._after = event.seq
        except (*NATS_TROUBLE, ValueError, KeyError) as error:
            raise PausesUnknown(f"{type(error).__name__} {error}".strip()) from None
        most = pause_seconds(*self._open) if self._open is not None else None
        return Pauses(
            attempt=self._key.attempt,
            ended_seconds=self._ended,
            open=self._open is not None,
            open_at_most_seconds=most,
        )

    def _apply(self, event: StoredEvent) -> None:
        if event.attempt != self._key.attempt:
            return
        if event.name == "asked":
            data: AskedPayload = orjson.loads(event.data)
            expiry = data["expires_at"]
            self._open = event.at, datetime.fromisoformat(expiry) if expiry is not None else None
        elif event.name in _ENDED_BY and self._open is not None:
            self._ended += pause_seconds(*self._open, event.at) or 0.0
            self._open = None


class ApiPauses:
    """Asks the API beside the attempt's callback URL, with the attempt's token."""

    def __init__(self, http: HttpReports, attempt: Attempt) -> None:
        self._http = http
        callback = attempt.submission.status_callback_url
        self._url = f"{callback.removesuffix('/status')}/pauses" if callback is not None else None
        self._token = attempt.submission.status_callback_token
        self._attempt = attempt.key.attempt

    async def read(self) -> Pauses:
        if self._url is None:
            raise PausesUnknown("the submission has no callback URL")
        try:
            found = parsed(Pauses, await self._http.get(self._url, self._token))
        except (httpx.HTTPError, OSError, TimeoutError, AnswerUnusable, SubmissionRefused) as error:
            raise PausesUnknown(f"{type(error).__name__} {error}".strip()) from None
        except ValidationError:
            raise PausesUnknown("the answer does not tell the pauses") from None
        if found.attempt != self._attempt:
            raise PausesUnknown(f"the answer is about attempt {found.attempt}")
        return found
