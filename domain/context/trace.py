"""The W3C trace context of the current work, stored with each event it appends.

It is carried whether or not spans are exported, so that a caller's trace reaches the runner's process and the
last event. If spans are made (`domain.context.tracer`), each one replaces its parent here while it is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

TRACEPARENT = "traceparent"
_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar(TRACEPARENT, default=None)


def current_traceparent() -> str | None:
    """The `traceparent` of the request or event being handled, if it has one."""
    return _current.get()


def use_traceparent(value: str | None) -> None:
    """Set the context's traceparent to `value`; an invalid one is dropped."""
    _current.set(valid_traceparent(value))


@contextmanager
def under_traceparent(value: str | None) -> Iterator[None]:
    """Set the traceparent for the block; an invalid one is dropped."""
    token = _current.set(valid_traceparent(value))
    try:
        yield
    finally:
        _current.reset(token)


def with_traceparent(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` plus the current traceparent, if the context has one."""
    current = _current.get()
    return {**headers, TRACEPARENT: current} if current is not None else dict(headers)


def valid_traceparent(value: str | None) -> str | None:
    """`value` if it is a valid traceparent, else None."""
    return value if value is not None and _VALID.fullmatch(value) else None


def trace_id(traceparent: str) -> str:
    """The trace id of a valid traceparent: 32 hex digits."""
    return traceparent[3:35]
