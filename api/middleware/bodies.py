"""Reads request bodies: after authentication, counted as they arrive, within a deadline.

A declared length reserves nothing, since anyone could send it. Received bytes count, and when the limit of
all bodies is reached, the oldest incomplete body is rejected: a usual body arrives in milliseconds, so the
oldest ones are those that do not end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive, Scope

from api.problems import RETRY_AFTER_SECONDS, HttpProblem

BODY_SECONDS = 10.0
"""How long a body may take to arrive."""
BODY_BYTES = 64 << 20
"""Limit of all bodies that are held at once."""
READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""No route with one of these methods reads a body."""
_LENGTH, _CODING, _TYPE = b"content-length", b"transfer-encoding", b"content-type"


class Body:
    """One request's body: the received part, and whether more is expected."""

    __slots__ = ("began", "chunks", "reader", "refused", "size")

    def __init__(self, began: float) -> None:
        self.began = began
        self.chunks: list[bytes] = []
        self.size = 0
        self.reader: asyncio.Task[Any] | None = None
        self.refused: HttpProblem | None = None


class Bodies:
    """All bodies of one process: at most `limit` bytes each, `total` together, each within `seconds`."""

    def __init__(self, limit: int, total: int = BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._limit = limit
        self._total = total
        self._seconds = seconds
        self._held = 0
        self._coming: dict[Body, None] = {}
        """Oldest first."""

    async def read(self, scope: Scope, receive: Receive) -> Body | None:
        """The whole body; None if the client is gone. Call `forget` once the request is answered.

        Raises:
            HttpProblem: 408 too slow, 413 too large, 415 not JSON, 503 no capacity.
        """
        _check_type(scope)
        body = Body(asyncio.get_running_loop().time())
        body.reader = asyncio.current_task()
        self._coming[body] = None
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.forget(body)
                    return None
                self._take(body, message.get("body", b""))
                if not message.get("more_body"):
                    return body
        except BaseException as error:
            self.forget(body)
            if body.refused is not None and isinstance(error, asyncio.CancelledError):
                assert body.reader is not None
                body.reader.uncancel()
                raise body.refused from None
            raise
        finally:
            self._coming.pop(body, None)

    def forget(self, body: Body) -> None:
        """Release the body's bytes; may be called twice."""
        self._held -= body.size
        body.size = 0
        body.chunks.clear()

    def sweep(self, now: float) -> bool:
        """End bodies that take too long; returns whether others are still incomplete."""
        for body in self._coming:
            if body.began > now - self._seconds:
                break
            detail = f"the body did not come within {self._seconds:g} s; send it again, without pauses"
            _refuse(body, HttpProblem(408, "body-too-slow", detail))
        return bool(self._coming)

    def _take(self, body: Body, chunk: bytes) -> None:
        if not chunk:
            return
        if body.size + len(chunk) > self._limit:
            raise HttpProblem(413, "body-too-large", f"a body has at most {self._limit} bytes; send less")
        body.chunks.append(chunk)
        body.size += len(chunk)
        self._held += len(chunk)
        while self._held > self._total:
            slowest = next((one for one in self._coming if one is not body and one.refused is None), None)
            if slowest is None:
                raise _no_room()
            _refuse(slowest, _no_room())
            self.forget(slowest)


def declares_body(scope: Scope) -> bool:
    """Whether the head declares a body that a route may read."""
    if scope["method"] in READS:
        return False
    return any(
        name == _CODING or (name == _LENGTH and bool(value.strip(b"0"))) for name, value in scope["headers"]
    )


def _refuse(body: Body, problem: HttpProblem) -> None:
    if body.refused is None and body.reader is not None:
        body.refused = problem
        body.reader.cancel()


def _no_room() -> HttpProblem:
    return HttpProblem(
        503,
        "overloaded",
        "too many bodies are under way; send it again after the seconds in Retry-After",
        {"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _check_type(scope: Scope) -> None:
    """Require JSON: foreign web pages can send any other type without the browser's preflight check."""
    given = next((value for name, value in scope["headers"] if name == _TYPE), b"")
    kind = given.partition(b";")[0].strip().lower()
    if kind != b"application/json" and not (kind.startswith(b"application/") and kind.endswith(b"+json")):
        raise HttpProblem(415, "not-json", "send the body with Content-Type: application/json")
