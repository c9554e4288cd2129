"""Saves snapshots of folds, and restores a fold from one that was made from the same log.

Snapshots are in SQL and the log is in NATS, and either can be replaced without the other. A fold that
continued from another log's state would grant and release on events that never happened. Each snapshot
therefore names the event at its position, and one that does not fit is ignored, which only makes the fold
longer. No fold waits for an unreachable database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.log.position import Position
from domain.ports.log import LogReader, Snapshots
from domain.services.positions import stands

RETRY_SECONDS = 0.2
ANSWER_SECONDS = 5.0

Answer = TypeVar("Answer")
log = structlog.get_logger(__name__)


async def take_up(snapshots: Snapshots, reader: LogReader, name: str) -> tuple[str, Any] | None:
    """The id of the event at the snapshot's position, and the state; None without a fitting snapshot."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            saved = await snapshots.load(name)
    except (Busy, TimeoutError) as error:
        log.warning("no snapshot at hand, reading from the start", name=name, error=repr(error))
        return None
    if saved is None:
        return None
    seq, kept = saved
    if not await patiently(lambda: fits(reader, seq, kept)):
        log.warning("snapshot is not of this log, reading from the start", name=name, seq=seq)
        return None
    return kept["event_id"], kept["state"]


async def fits(reader: LogReader, seq: LogSeq, kept: Any) -> bool:
    """Whether the snapshot `kept` at `seq` was made from this log."""
    event_id = kept.get("event_id")
    return event_id is not None and await stands(reader, Position(seq, event_id))


async def keep(snapshots: Snapshots, name: str, seq: LogSeq, event_id: str, state: Any) -> None:
    """Save `state` as of the event `event_id` at `seq`; a failure is only logged, a later one suffices."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await snapshots.save(name, seq, {"event_id": event_id, "state": state})
    except (Busy, TimeoutError) as error:
        log.warning("snapshot not saved, a start would read more", name=name, seq=seq, error=repr(error))


async def patiently(read: Callable[[], Awaitable[Answer]]) -> Answer:
    """The result of `read`, retried without limit while the log is unreachable; for starting folds."""
    while True:
        try:
            return await read()
        except Busy:
            await asyncio.sleep(RETRY_SECONDS)
