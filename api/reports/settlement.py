"""Settles a report that came over NATS: applied, kept as a dead letter, or retried.

Delivery: a report is acknowledged only after its event is in the log, or was already there, or the report is
stored as a dead letter with the reason. A crash in between redelivers it; it is stale by then. What may
succeed later is retried after a growing delay: without limit while the log is unavailable or full, since the
report itself is valid, else at most MAX_DELIVERIES times.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from pydantic import ValidationError

from api.dependencies import ApiParts
from api.metrics.registry import RECORDED, STALE, Metrics
from api.problems import HttpProblem, body_errors
from api.reports.gateway import accept_report
from domain.backoff import Backoff
from domain.context.log_context import be_about
from domain.context.trace import TRACEPARENT, use_traceparent
from domain.context.tracer import TASK_ID, spanning
from domain.errors import Busy, DomainError, LogFull, Refused
from domain.ports.queues import QueuedReport
from domain.protocol import RUNNER_AUTH_HEADER
from domain.validation.headers import header

MAX_DELIVERIES = 20
ANSWER_SECONDS = 10.0
RETRY = Backoff(first_seconds=0.2, longest_seconds=30.0)
TRY_AGAIN = "try-again"


class Settlement:
    """Settles reports, one at a time."""

    def __init__(self, parts: ApiParts, metrics: Metrics | None) -> None:
        self._parts = parts
        self._metrics = metrics

    async def settle(self, report: QueuedReport, deadline: float) -> float | None:
        """Handle one report until `deadline` (of the loop's clock): None, or in how many seconds again."""
        started = time.perf_counter()
        outcome = await self._outcome(report, deadline)
        if self._metrics is not None:
            self._metrics.callback("nats", outcome, time.perf_counter() - started)
        return delay_seconds(report.deliveries) if outcome == TRY_AGAIN else None

    async def _outcome(self, report: QueuedReport, deadline: float) -> str:
        """`recorded`, `stale`, the code of its dead letter, or TRY_AGAIN."""
        use_traceparent(header(report.headers, TRACEPARENT))
        be_about(report.task_id)
        with spanning(self._parts.tracer, "take report", "consumer", {TASK_ID: report.task_id}) as span:
            outcome = await self._applied(report, deadline)
            if span is not None:
                span.set({"towpath.outcome": outcome})
            return outcome

    async def _applied(self, report: QueuedReport, deadline: float) -> str:
        token = header(report.headers, RUNNER_AUTH_HEADER)
        try:
            async with asyncio.timeout_at(deadline):
                stored = await accept_report(self._parts, report.task_id, report.data, token, "nats")
        except (Busy, LogFull, TimeoutError):
            return TRY_AGAIN
        except DomainError as error:
            if isinstance(error, Refused) and self._metrics is not None:
                self._metrics.refused(error.code)
            return await self._keep(report, error.code, error.detail)
        except ValidationError as error:
            return await self._keep(report, "invalid-report", _message(error))
        except HttpProblem as error:
            return await self._keep(report, error.code, error.detail)
        except Exception as error:
            _log().error("report not applied", error=repr(error))
            return await self._later(report, repr(error))
        return RECORDED if stored.recorded else STALE

    async def _later(self, report: QueuedReport, why: str) -> str:
        if report.deliveries < MAX_DELIVERIES:
            return TRY_AGAIN
        return await self._keep(report, "gave-up", f"tried {MAX_DELIVERIES} times, last: {why}")

    async def _keep(self, report: QueuedReport, code: str, detail: str) -> str:
        try:
            await self._parts.dead_letters.keep("report", report.task_id, report.data, code, detail)
        except Exception as error:
            _log().error("dead letter not kept", code=code, error=repr(error))
            return TRY_AGAIN
        return code


def delay_seconds(delivered: int) -> float:
    """How long to wait after the `delivered`-th delivery."""
    return RETRY.after(delivered)


def _message(error: ValidationError) -> str:
    found = (f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in body_errors(error))
    return "; ".join(found)


def _log() -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("towpath.api")
    return logger
