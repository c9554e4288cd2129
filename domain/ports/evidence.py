"""Ports of evidence: stored bytes of the log, and its signed checkpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from domain.evidence.checkpoint import LogCheckpoint


class StoredMessage(Protocol):
    """One stored message as bytes."""

    @property
    def seq(self) -> int:
        """Its sequence."""
        ...

    @property
    def subject(self) -> bytes:
        """The stored subject."""
        ...

    @property
    def data(self) -> bytes:
        """The data."""
        ...

    def header_lines(self) -> list[bytes]:
        """The lines of the header block, in the order they stand."""
        ...


class StoredLog(Protocol):
    """The log as stored bytes."""

    async def last_seq(self) -> int:
        """The last sequence, from the leader."""
        ...

    def stretch(self, first: int, last: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """Everything that stands from `first` to `last`, in order; what is missing is left out."""
        ...


class LogCheckpoints(Protocol):
    """Signed checkpoints in the order of their numbers."""

    async def ever(self) -> int:
        """The number of the last one that was ever appended, even if it is gone; 0 for none.

        Raises:
            CheckpointInvalid: the place where they stand is gone.
        """
        ...

    async def last(self) -> LogCheckpoint | None:
        """The last one, from the leader. CheckpointInvalid where something else stands there."""
        ...

    def read(self, after: int = 0) -> AsyncIterator[LogCheckpoint]:
        """All behind number `after` that are there now. CheckpointInvalid for what is none, or missing."""
        ...

    async def append(self, checkpoint: LogCheckpoint) -> bool:
        """Append it behind its predecessor; False where another one came first.

        Raises:
            Busy: the outcome is not known; read the last one.
        """
        ...
