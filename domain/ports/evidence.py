"""Ports of evidence: the log's stored bytes, its signed checkpoints, and audit records beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from domain.evidence.audit_record import AuditData, AuditKind, AuditRecord
from domain.evidence.checkpoint import LogCheckpoint


class StoredMessage(Protocol):
    """One message as stored, in bytes."""

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
        """The lines of the header block, in stored order."""
        ...


class StoredLog(Protocol):
    """The log as stored bytes."""

    async def last_seq(self) -> int:
        """The last sequence, from the leader."""
        ...

    def stretch(self, first: int, last: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """All stored messages from `first` to `last`, in order; missing sequences are left out."""
        ...


class LogCheckpoints(Protocol):
    """Signed checkpoints in the order of their numbers."""

    async def ever(self) -> int:
        """The highest number ever appended, even if that checkpoint was deleted; 0 for none.

        Raises:
            CheckpointInvalid: the checkpoint stream does not exist.
        """
        ...

    async def last(self) -> LogCheckpoint | None:
        """The last checkpoint, from the leader. CheckpointInvalid if the stored message is none."""
        ...

    def read(self, after: int = 0) -> AsyncIterator[LogCheckpoint]:
        """The stored checkpoints after number `after`. CheckpointInvalid if one is missing or malformed."""
        ...

    async def append(self, checkpoint: LogCheckpoint) -> bool:
        """Append it after its predecessor; False if another one was appended first.

        Raises:
            Busy: the outcome is unknown; read the last checkpoint.
        """
        ...


class AuditRecords(Protocol):
    """Audit records. Only the newest of each kind are kept, but no client can delete one."""

    async def add(self, kind: AuditKind, what: AuditData) -> int:
        """Store a record and return its number. Busy: the outcome is unknown."""
        ...

    async def newest(self, kind: AuditKind, limit: int, before: int | None = None) -> list[AuditRecord]:
        """Up to `limit` records with a number below `before`, newest first. Busy: NATS does not answer."""
        ...
