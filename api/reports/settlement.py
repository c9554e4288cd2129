"""Settles a report that came over NATS: applied, kept as a dead letter, or retried.

Delivery: a report is acknowledged only after its event is in the log, or was already there, or the report is
stored as a dead letter with the reason. A crash in between redelivers it; it is stale by then. What may
succeed later is retried after a growing delay: without limit while the log is unavailable or full, since the
report itself is valid, else at most MAX_DELIVERIES times.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

import nats.errors
import structlog
from nats.aio.msg import Msg
from pydantic import ValidationError

from api.dependencies import ApiParts
from api.metrics.registry import RECORDED, STALE, Metrics
from api.problems import HttpProblem, body_errors
from api.reports.batch_timeout import SharedTimeout
from api.reports.gateway import accept_report
from domain.backoff import Backoff
from domain.context.log_context import be_about
from domain.context.trace import TRACEPARENT, use_traceparent
from domain.context.tracer import TASK_ID, spanning
from domain.errors import Busy, DomainError, LogFull, Refused
from domain.identifiers import TaskId
from domain.protocol import RUNNER_AUTH_HEADER
from domain.validation.headers import header

MAX_DELIVERIES = 20
ANSWER_SECONDS = 10.0
RETRY = Backoff(first_seconds=0.2, longest_seconds=30.0)
TRY_AGAIN = "try-again"


class Settlement:
    """Settles reports, one message at a time."""

    def __init__(self, parts: ApiParts, metrics: Metrics | None) -> None:
        self._parts = parts
        self._metrics = metrics

    async def settle(self, message: Msg, limit: SharedTimeout) -> bool:
        """Handle one message; False if it will be redelivered, so that later ones of its task wait too."""
        started = time.perf_counter()
        outcome = await self._outcome(message, limit)
        if outcome == TRY_AGAIN:
            await put_back(message, delay_seconds(deliveries(message)))
        else:
            with contextlib.suppress(nats.errors.Error):  # unacknowledged, it is redelivered and then stale
                await message.ack()
        if self._metrics is not None:
            self._metrics.callback("nats", outcome, time.perf_counter() - started)
        return outcome != TRY_AGAIN

    async def _outcome(self, message: Msg, limit: SharedTimeout) -> str:
        """`recorded`, `stale`, the code of its dead letter, or TRY_AGAIN."""
        task_id = TaskId(message.subject.rpartition(".")[2])
        headers = message.headers or {}
        use_traceparent(header(headers, TRACEPARENT))
        be_about(task_id)
        with spanning(self._parts.tracer, "take report", "consumer", {TASK_ID: task_id}) as span:
            outcome = await self._applied(message, task_id, headers, limit)
            if span is not None:
                span.set({"towpath.outcome": outcome})
            return outcome

    async def _applied(
        self, message: Msg, task_id: TaskId, headers: Mapping[str, str], limit: SharedTimeout
    ) -> str:
        try:
            with limit:
                stored = await accept_report(
                    self._parts, task_id, message.data, header(headers, RUNNER_AUTH_HEADER), "nats"
                )
        except (Busy, LogFull, TimeoutError):
            return TRY_AGAIN
        except DomainError as error:
            if isinstance(error, Refused) and self._metrics is not None:
                self._metrics.refused(error.code)
            return await self._keep(message, task_id, error.code, error.detail)
        except ValidationError as error:
            return await self._keep(message, task_id, "invalid-report", _message(error))
        except HttpProblem as error:
            return await self._keep(message, task_id, error.code, error.detail)
        except Exception as error:
            _log().error("report not applied", error=repr(error))
            return await self._later(message, task_id, repr(error))
        return RECORDED if stored.recorded else STALE

    async def _later(self, message: Msg, task_id: TaskId, why: str) -> str:
        if deliveries(message) < MAX_DELIVERIES:
            return TRY_AGAIN
        return await self._keep(message, task_id, "gave-up", f"tried {MAX_DELIVERIES} times, last: {why}")

    async def _keep(self, message: Msg, task_id: TaskId, code: str, detail: str) -> str:
        try:
            await self._parts.dead_letters.keep("report", task_id, message.data, code, detail)
        except Exception as error:
            _log().error("dead letter not kept", code=code, error=repr(error))
            return TRY_AGAIN
        return code


async def put_back(message: Msg, delay: float) -> None:
    """Redeliver the message after `delay` seconds; if the server is away, after its own timeout."""
    with contextlib.suppress(nats.errors.Error):
        await message.nak(delay=delay)


def deliveries(message: Msg) -> int:
    """How often this message was delivered, including this time."""
    return int(message.metadata.num_delivered or 1)


def delay_seconds(delivered: int) -> float:
    """How long to wait after the `delivered`-th delivery."""
    return RETRY.after(delivered)


def _message(error: ValidationError) -> str:
    found = (f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in body_errors(error))
    return "; ".join(found)


def _log() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("towpath.api")
    return logger
