"""Admission control (backpressure): beyond the limit a request gets 503 with Retry-After at once.

A request takes a slot once it is complete: without a body at once, else when its route has authenticated the
caller and the body has arrived (`api.middleware.bodies`). So an incomplete request costs only a connection,
and an unauthenticated one only a response. Reports and heartbeats have slots of their own: a crowd of other
requests must not cost a runner its lease. A request with a slot is answered in time, even if NATS does not
answer or the API is stopped. Its append may still be stored after that: reports and creates with an id can be
repeated, and the result of the others can be read. Probes and live streams do not count.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.bodies import BODY_BYTES, BODY_SECONDS, Bodies, Body, declares_body
from api.problems import RETRY_AFTER_SECONDS, HttpProblem, http_response, problem_response
from api.streaming.live_response import ABORT

ANSWER_SECONDS = 25.0
SWEEPS = 25
"""How often within that time late requests are looked for."""
MAX_RESERVE = 250
RUNNER_PATHS = "/runner/"
UNCOUNTED = frozenset({"/livez", "/readyz", "/metrics", "/events/stream", "/changes"})
OUTPUT_PATH = re.compile("/tasks/[^/]+/output")
QUESTION_PATH = re.compile("/tasks/[^/]+/questions/[^/]+")
_RETRY = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_UNKNOWN = (
    "whether it was recorded is unknown: look, or send it again where that is safe "
    "(reports, creates with an `id`)"
)


class Admit:
    """ASGI middleware: at most `limit` requests at once, each answered within `seconds`."""

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        body_limit: int,
        seconds: float = ANSWER_SECONDS,
        body_bytes: int = BODY_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """`body_limit`: of one body; `body_bytes`: of all bodies together, of runners' and of others'."""
        self._app = app
        self._limit = limit
        self._others = limit - min(limit // 4, MAX_RESERVE)
        self._of_others = 0
        self._seconds = seconds
        self._sweep_seconds = min(seconds, body_seconds) / SWEEPS
        self._bodies = {runners: Bodies(body_limit, body_bytes, body_seconds) for runners in (False, True)}
        self._entered: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._sweeping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit or reject the request."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED or _waits(scope):
            await self._app(scope, receive, send)
            return
        visit = _Visit(self, scope, receive, send)
        try:
            if not visit.has_body:
                self._enter(visit)
            await self._app(scope, visit.receive, visit.send)
        except HttpProblem as refused:  # raised by `_enter`; the application answers its own
            await http_response(refused)(scope, receive, send)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:
            visit.task.uncancel()
            await self._answer_late(visit, scope, receive, send)
        finally:
            self._leave(visit)

    async def _answer_late(self, visit: _Visit, scope: Scope, receive: Receive, send: Send) -> None:
        if visit.answering:  # the reader does not read: another response would wait, too
            abort = (scope.get("extensions") or {}).get(ABORT)
            if abort is not None:
                abort["call"]()
            return
        if visit.task in self._late:
            code, why = "too-slow", f"not answered within {self._seconds:g} s"
        else:  # the server cancels waiting requests when its time to stop is over
            code, why = "stopping", "this API is being stopped"
        await problem_response(503, code, f"{why}; {_UNKNOWN}", None, _RETRY)(scope, receive, send)

    async def read(self, visit: _Visit, scope: Scope, receive: Receive) -> Message:
        """The whole body of a request as one message; then the request takes its slot."""
        self._keep_sweeping(asyncio.get_running_loop())
        body = await self._bodies[visit.of_runner].read(scope, receive)
        if body is None:
            return {"type": "http.disconnect"}
        visit.body = body
        self._enter(visit)
        return {"type": "http.request", "body": b"".join(body.chunks), "more_body": False}

    def _enter(self, visit: _Visit) -> None:
        if len(self._entered) >= self._limit or (not visit.of_runner and self._of_others >= self._others):
            detail = "too many requests are under way; send it again after the seconds in Retry-After"
            raise HttpProblem(503, "overloaded", detail, _RETRY)
        loop = asyncio.get_running_loop()
        self._entered[visit.task] = loop.time()
        self._of_others += not visit.of_runner
        self._keep_sweeping(loop)

    def _leave(self, visit: _Visit) -> None:
        if self._entered.pop(visit.task, None) is not None:
            self._of_others -= not visit.of_runner
        self._late.discard(visit.task)
        if visit.body is not None:
            self._bodies[visit.of_runner].forget(visit.body)

    def _keep_sweeping(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._sweep_seconds, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel late requests. One check now and then costs less than a timer for each."""
        now = loop.time()
        for task, entered in self._entered.items():
            if entered > now - self._seconds:
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        coming = [bodies.sweep(now) for bodies in self._bodies.values()]
        self._sweeping = False
        if self._entered or any(coming):
            self._keep_sweeping(loop)


def _waits(scope: Scope) -> bool:
    """Whether a request waits for an answer to a question, or for output: it counts as a live stream."""
    if scope["method"] != "GET":
        return False
    if OUTPUT_PATH.fullmatch(scope["path"]):
        return True
    if not QUESTION_PATH.fullmatch(scope["path"]):
        return False
    try:
        return float(QueryParams(scope["query_string"]).get("wait", "0")) > 0
    except ValueError:
        return False


class _Visit:
    """One request in progress: passes its body on whole, and records whether a response has begun."""

    __slots__ = (
        "_admit",
        "_receive",
        "_scope",
        "_send",
        "answering",
        "body",
        "has_body",
        "of_runner",
        "task",
    )

    def __init__(self, admit: Admit, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._admit, self._scope, self._receive, self._send = admit, scope, receive, send
        self.task = task
        self.of_runner = scope["path"].startswith(RUNNER_PATHS)
        self.has_body = declares_body(scope)
        self.body: Body | None = None
        self.answering = False

    async def receive(self) -> Message:
        """The body first, afterwards the server's messages."""
        if self.has_body and self.body is None:
            return await self._admit.read(self, self._scope, self._receive)
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Pass the response on."""
        self.answering = True
        await self._send(message)
