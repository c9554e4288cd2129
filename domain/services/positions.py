"""Checks a reader's position: the log must reach it, and must hold the event that the position names.

`domain.log.position` explains why a sequence alone is not enough.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from domain.errors import NotFound
from domain.identifiers import LogSeq
from domain.log.position import BEYOND, OTHER_LOG, Position
from domain.ports.log import LogReader

ASKED = 3
ASK_AGAIN_SECONDS = 0.1
_WHY = "the log was restored from an older backup, or the position is of another log"
_ADVICE = "GET /events shows what is there; read on behind an event that still stands, or from the start"


class Known(Protocol):
    """This process's own fold of the log."""

    @property
    def seq(self) -> LogSeq:
        """The last sequence folded."""
        ...


async def check_position(reader: LogReader, position: Position, known: Known | None = None) -> LogSeq:
    """The position's sequence, after checking that the log reaches it and holds its event there.

    `known` saves a request to the log if this process's fold has already reached the position.

    Raises:
        NotFound: `beyond-the-log`, or `other-log` if the log holds another event there.
    """
    seq = LogSeq(position.seq)
    if seq and (known is None or known.seq < seq):
        last = await _last_seq(reader, seq)
        if seq > last:
            raise NotFound(
                BEYOND,
                f"the log ends at sequence {last}, so nothing can go on behind {seq}: {_WHY}. {_ADVICE}",
                {"last_seq": last},
            )
    if not await stands(reader, position):
        raise NotFound(
            OTHER_LOG,
            f"another event stands at sequence {seq} than the one this position names: {_WHY}. {_ADVICE}",
        )
    return seq


async def _last_seq(reader: LogReader, seq: LogSeq) -> LogSeq:
    """The log's last sequence; retried while it is below `seq`, since a newly elected leader may lag."""
    for _ in range(ASKED - 1):
        if (last := await reader.last_seq()) >= seq:
            return last
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    return await reader.last_seq()


async def stands(reader: LogReader, position: Position) -> bool:
    """Whether the log holds the position's event at its sequence; True if the position names no event."""
    return position.event_id is None or await event_id_at(reader, LogSeq(position.seq)) == position.event_id


async def position_at(reader: LogReader, seq: LogSeq) -> Position:
    """The position after `seq`, with the event id that identifies the log."""
    return Position(seq, await event_id_at(reader, seq))


async def event_id_at(reader: LogReader, seq: LogSeq) -> str | None:
    """The id of the event at `seq`, from the leader; None if the log has none there."""
    found = await reader.at([seq]) if seq else []
    return found[0].id if found else None
