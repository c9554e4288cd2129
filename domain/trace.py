"""The W3C trace context of the work at hand, carried beside it and stored with each event."""

from __future__ import annotations

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current_traceparent() -> str | None:
    """The `traceparent` of the request or event that is being handled, if it has one."""
    return _current.get()


def use_traceparent(value: str | None) -> None:
    """Let what follows in this context belong to `value`; anything but a valid traceparent is dropped."""
    _current.set(value if value is not None and _TRACEPARENT.fullmatch(value) else None)
