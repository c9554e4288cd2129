"""Wakes a waiter with the workspace's events, as they come; without them, time does."""

from __future__ import annotations

import select
from types import TracebackType

from infra.lock.control_plane import ControlPlane


class Events:
    """A live stream whose content does not matter: whoever is woken asks how things are."""

    def __init__(self, control: ControlPlane, workspace: str) -> None:
        self._connection = control.connection()
        self._path = f"/events/stream?workspace={workspace}"

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def wait(self, seconds: float, other: int) -> None:
        """Until an event may have come, `other` is readable, or `seconds` are over."""
        try:
            stream = self._connection.socket
            if stream is None:
                stream = self._connection.send("GET", self._path, None, seconds)
            ready = select.select([stream.fileno(), other], [], [], seconds)[0]
            if stream.fileno() in ready and not stream.recv(65536):
                self._connection.close()
        except OSError:
            self._connection.close()
            select.select([other], [], [], seconds)
