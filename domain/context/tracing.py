"""Port `Tracer`: trace spans, and how code runs within one.

Parts that make spans get a `Tracer`, or none where tracing is off: then nothing is made, and the caller's
`traceparent` is carried all the same. A span takes the place of its parent in the context
(`domain.context.trace`), so that what is stored, sent and started within it names it as its parent.
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
    """The attributes by which spans of an attempt are found."""
    return {TASK_ID: task_id, ATTEMPT: attempt}


class Span(Protocol):
    """One span that has begun."""

    @property
    def traceparent(self) -> str:
        """Names this span as the parent of what follows from it."""
        ...

    def rename(self, name: str) -> None:
        """Name it by what is known by now."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""
        ...

    def fail(self, why: str) -> None:
        """It did not do what it was for. `why` holds no secret."""
        ...

    def end(self) -> None:
        """It is over; called once."""
        ...


class Tracer(Protocol):
    """Begins spans and exports what has ended, in the background and never in anybody's way."""

    def start(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Span:
        """Begin a span below `parent` (a valid traceparent), or a trace of its own."""
        ...


def spanning(
    tracer: Tracer | None, name: str, kind: Kind, attributes: Attributes
) -> AbstractContextManager[Span | None]:
    """Work within a span below the work at hand; an exception fails it. None where tracing is off."""
    return _OFF if tracer is None else _within(tracer, name, kind, attributes)


@contextmanager
def _within(tracer: Tracer, name: str, kind: Kind, attributes: Attributes) -> Iterator[Span]:
    span = tracer.start(name, kind, current_traceparent(), attributes)
    try:
        with under_traceparent(span.traceparent):
            yield span
    except BaseException as error:
        span.fail(type(error).__name__)  # its words may hold what no trace should show
        raise
    finally:
        span.end()
