"""The locks of a log whose server is down, computed by folding the whole log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.client import Client

from adapters.event_store.reading.log_reader import JetStreamLogReader
from adapters.nats.jetstream_api import JetStreamApi
from domain.identifiers import WorkspaceId
from domain.locks.table import LockTable
from domain.locks.view import LockEntry, lock_entry
from domain.log.position import Position
from domain.services.positions import check_position
from infra.config.settings import Settings
from infra.maintenance.log_check import LogDamaged, check_log
from infra.nats.connection import connect

PAGE = 1000


@dataclass(frozen=True, slots=True)
class OfflineLocks:
    """Lock entries in the API's format, as far as the log can be read; `fault` says where that ends."""

    entries: list[dict[str, Any]]
    fault: str | None


def run_locks(settings: Settings, workspace: str | None, at: str | None) -> OfflineLocks:
    """The locks at the end, or at a sequence or time (RFC 3339), of one workspace (one entry) or of all.

    Raises:
        NatsUnavailable, Busy: the log cannot be read.
        NotFound: `at` lies beyond the log's end.
    """
    return asyncio.run(_locks(settings, workspace, at))


async def _locks(settings: Settings, workspace: str | None, at: str | None) -> OfflineLocks:
    connection = await connect(settings, "towpath-locks")
    try:
        reader = JetStreamLogReader(connection, JetStreamApi(connection))
        table = LockTable()
        fault = await _fault(connection, settings)
        hole = await _fold(reader, table, await _upto(reader, at))
    finally:
        await connection.close()
    names = table.workspaces() if workspace is None else [WorkspaceId(workspace)]
    entries = [LockEntry.model_dump(lock_entry(table, name), mode="json") for name in names]
    if hole is not None:
        fault = fault or f"the log is damaged: event {hole} is missing"
    return OfflineLocks(entries, fault and f"{fault}; these are the locks as of event {table.seq}")


async def _fault(connection: Client, settings: Settings) -> str | None:
    try:
        await check_log(connection, settings)
    except LogDamaged as error:
        return error.fault
    return None


async def _upto(reader: JetStreamLogReader, at: str | None) -> int:
    if at is None:
        return await reader.last_seq()
    if at.isdigit():
        return await check_position(reader, Position(int(at)))
    return await reader.seq_at(datetime.fromisoformat(at))


async def _fold(reader: JetStreamLogReader, table: LockTable, upto: int) -> int | None:
    """Fold up to `upto`; returns the first missing sequence, or None."""
    while table.seq < upto:
        batch = await reader.page(table.seq, min(PAGE, upto - table.seq))
        for event in batch:
            if event.seq != table.seq + 1 or event.seq > upto:
                return table.seq + 1
            table.fold(event)
        if not batch:
            return table.seq + 1
    return None
