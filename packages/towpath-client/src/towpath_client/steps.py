"""The I/O steps that an operation yields: one request, the next bytes of a stream, a pause.

An operation is a generator that yields steps and gets their replies; it decides everything, and does no I/O.
`Client` and `AsyncClient` carry out the same operations, so they cannot differ. A transport error is thrown
into the operation as `Unreachable` or `Unanswered`.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from towpath_client.errors import TowpathError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Request:
    """One HTTP request; its whole answer must come within `seconds`, or, streamed, each part of it."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 15.0

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters that are given, as text."""
        pairs = []
        for name, value in self.params.items():
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is not None:
                    pairs.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
        return pairs

    @property
    def content(self) -> bytes | None:
        """The body as JSON."""
        return None if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Answer:
    """An answer; `headers` have lower-case names. The content of an open stream is read by `Read`."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether it is no error."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Send:
    """Send the request; the reply is an Answer."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send the request and keep a 200 answer open; the reply is an Answer, without content then."""

    request: Request


class Read:
    """Read from the open answer; the reply is bytes, none at its end."""


@dataclass(frozen=True)
class Pause:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Give an item to the caller."""

    item: T


@dataclass(frozen=True)
class Done(Generic[R]):
    """The operation's result."""

    value: R


Step = Send | Open | Read | Pause
Operation = Generator[Step, Any, R]
"""Ends with a result."""
Feed = Generator[Step | Emit[T], Any, None]
"""Gives items to the caller."""


def resume(operation: Generator[Any, Any, Any], reply: object) -> Any:
    """The next step, or Done. A TowpathError as reply is thrown into the operation."""
    try:
        if isinstance(reply, TowpathError):
            return operation.throw(reply)
        return operation.send(reply)
    except StopIteration as end:
        return Done(end.value)


def path(*parts: object) -> str:
    """A URL path of these segments, each escaped. ValueError for one that would change the path."""
    texts = [str(part) for part in parts]
    if any(text in ("", ".", "..") for text in texts):
        raise ValueError("an id cannot be empty, `.` or `..`")
    return "/" + "/".join(quote(text, safe="") for text in texts)
