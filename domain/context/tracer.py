"""Port `Tracer`: trace spans, and how code runs within one.

Parts that make spans get a `Tracer`, or None if tracing is off: then they make no span and still pass on the
caller's `traceparent`. A span replaces its parent in the context (`domain.context.trace`), so that events,
messages and processes begun within it name it as their parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, Protocol

from domain.context.trace import current_traceparent, under_traceparent

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]
TASK_ID = "towpath.task_id"
ATTEMPT = "towpath.attempt"
SEQUENCE = "towpath.sequence"
_OFF: AbstractContextManager[None] = nullcontext()


def about_attempt(task_id: str, attempt: int) -> dict[str, str | int | float | bool]:
    """The attributes by which the spans of an attempt can be found."""
    return {TASK_ID: task_id, ATTEMPT: attempt}


class Span(Protocol):
    """A span that was started."""

    @property
    def traceparent(self) -> str:
        """The traceparent that names this span as the parent."""
        ...

    def rename(self, name: str) -> None:
        """Replace the span's name, once a better one is known."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def fail(self, why: str) -> None:
        """Mark the span as failed. `why` must hold no secret."""
        ...

    def end(self) -> None:
        """End the span; called once."""
        ...


class Tracer(Protocol):
    """Starts spans, and exports ended ones in the background without blocking callers."""

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Span:
        """Start a span below `parent` (a valid traceparent), or without one a new trace."""
        ...


def spanning(
    tracer: Tracer | None, name: str, kind: Kind, attributes: Attributes
) -> AbstractContextManager[Span | None]:
    """Run the block in a child span of the current one; an exception fails it. None if tracing is off."""
    return _OFF if tracer is None else _within(tracer, name, kind, attributes)


@contextmanager
def _within(tracer: Tracer, name: str, kind: Kind, attributes: Attributes) -> Iterator[Span]:
    span = tracer.start(name, kind, current_traceparent(), attributes)
    try:
        with under_traceparent(span.traceparent):
            yield span
    except BaseException as error:
        span.fail(type(error).__name__)  # the message may hold secrets
        raise
    finally:
        span.end()
