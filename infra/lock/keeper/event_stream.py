"""A live stream of a workspace's events, which ends a wait early; without it, the wait ends by time."""

from __future__ import annotations

import select
from contextlib import suppress
from types import TracebackType

from infra.lock.connection import quoted
from infra.lock.control_plane import ControlPlane

SEND_SECONDS = 2.0


class EventStream:
    """A live stream whose content is discarded: after each event the caller reads the current state."""

    def __init__(self, control: ControlPlane, **wanted: str) -> None:
        """`wanted`: the filters of the stream."""
        self._connection = control.connection()
        self._path = "/events/stream?" + "&".join(f"{name}={quoted(value)}" for name, value in wanted.items())

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def files(self) -> list[int]:
        """The stream, once it is open; readable when something has come."""
        return [self._connection.socket.fileno()] if self._connection.socket is not None else []

    def open(self) -> None:
        """Open it, if it is not and can be."""
        if self._connection.socket is None:
            with suppress(OSError):
                self._connection.send("GET", self._path, None, SEND_SECONDS)

    def take(self) -> None:
        """Discard what has come."""
        try:
            stream = self._connection.socket
            if stream is not None and not stream.recv(65536):
                self._connection.close()
        except OSError:
            self._connection.close()

    def wait(self, seconds: float, other: int) -> None:
        """Until an event may have come, `other` is readable, or `seconds` are over."""
        self.open()
        ready = select.select([*self.files, other], [], [], seconds)[0]
        if set(self.files) & set(ready):
            self.take()
