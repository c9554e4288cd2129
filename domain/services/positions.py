"""Checks a reader's position against the log: does the log reach it, and is it the same log?

See `domain.log.position` for why a sequence alone is not enough.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from domain.errors import NotFound
from domain.log.position import BEYOND, OTHER_LOG, Position
from domain.ports.log import LogReader

ASKED = 3
ASK_AGAIN_SECONDS = 0.1
_WHY = "the log was restored from an older backup, or the position is of another log"
_ADVICE = "GET /events shows what is there; read on behind an event that still stands, or from the start"


class Known(Protocol):
    """What a process knows of the log without asking."""

    @property
    def seq(self) -> int:
        """Up to which sequence it has folded the log."""
        ...


async def check_position(reader: LogReader, position: Position, known: Known | None = None) -> int:
    """The position's sequence, once it is sure that the log reaches to it and holds its event there.

    `known` saves a question to the log where a fold of this process has come as far.

    Raises:
        NotFound: `beyond-the-log`, or `other-log` where another event stands there.
    """
    seq = position.seq
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


async def _last_seq(reader: LogReader, seq: int) -> int:
    """Where the log ends; below `seq` only if it stays so, since a leader just elected may lag a moment."""
    for _ in range(ASKED - 1):
        if (last := await reader.last_seq()) >= seq:
            return last
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    return await reader.last_seq()


async def stands(reader: LogReader, position: Position) -> bool:
    """Whether the log holds the position's event where the position says; True where it names none."""
    return position.event_id is None or await event_id_at(reader, position.seq) == position.event_id


async def position_at(reader: LogReader, seq: int) -> Position:
    """The position behind `seq` with what tells it from another log's."""
    return Position(seq, await event_id_at(reader, seq))


async def event_id_at(reader: LogReader, seq: int) -> str | None:
    """The id of the event at `seq`, from the leader; None where there is none."""
    found = await reader.at([seq]) if seq else []
    return found[0].id if found else None
