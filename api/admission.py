"""How much may be under way at once: beyond it the answer is 503 with Retry-After, at once.

Whoever waits here holds memory: its body, its answer, its place in the queue of appends. So requests and the
bytes of their bodies are bounded, and each is answered in time, also while NATS says nothing and when the API
is stopped. An append that was sent when its request ran out of time may still be stored: reports and creates
with an id can be sent again, and everything else can be looked at. Probes and live streams do not count here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import RETRY_AFTER_SECONDS, problem_response

ANSWER_SECONDS = 25.0
SWEEPS = 25
"""How often within that time it is looked who is late."""
BODY_BYTES = 64 << 20
UNCOUNTED = frozenset({"/livez", "/readyz", "/metrics", "/events/stream"})
_RETRY = {"Retry-After": str(RETRY_AFTER_SECONDS)}
_LENGTH = b"content-length"
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
    ) -> None:
        """`body_limit`: what a body of unknown length counts as; `body_bytes`: of all bodies together."""
        self._app = app
        self._limit = limit
        self._body_limit = body_limit
        self._seconds = seconds
        self._body_bytes = body_bytes
        self._entered: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._bytes = 0
        self._sweeping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it in or refuse it."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        size = self._size(scope)
        if len(self._entered) >= self._limit or self._bytes + size > self._body_bytes:
            detail = "too many requests are under way; send it again after the seconds in Retry-After"
            await problem_response(503, "overloaded", detail, None, _RETRY)(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        self._entered[task] = loop.time()
        self._bytes += size
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(self._seconds / SWEEPS, self._sweep, loop)
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            task.uncancel()
            if task in self._late:
                code, why = "too-slow", f"not answered within {self._seconds:g} s"
            else:  # the server cancels who still waits when its time to stop is over
                code, why = "stopping", "this API is being stopped"
            detail = f"{why}; {_UNKNOWN}"
            await problem_response(503, code, detail, None, _RETRY)(scope, receive, send)
        finally:
            del self._entered[task]
            self._late.discard(task)
            self._bytes -= size

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel who has been in for too long: one look now and then, since a timer for each costs more."""
        before = loop.time() - self._seconds
        for task, entered in self._entered.items():
            if entered > before:
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        self._sweeping = bool(self._entered)
        if self._sweeping:
            loop.call_later(self._seconds / SWEEPS, self._sweep, loop)

    def _size(self, scope: Scope) -> int:
        if scope["method"] == "GET":
            return 0
        for name, value in scope["headers"]:
            if name == _LENGTH:
                return min(int(value), self._body_limit) if value.isdigit() and len(value) < 19 else 0
        return self._body_limit
