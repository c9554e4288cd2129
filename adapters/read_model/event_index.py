"""Where the events of each name stand in the log: by name and block of sequences, their offsets in it.

The log's own filters cost more the longer the log is; with the sequences at hand, a page costs what it shows.
Offsets have DIGITS digits, so a batch extends the row of its block without reading it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, literal, select, union_all

from adapters.read_model.database import TASKS_POSITION
from adapters.read_model.tables import event_index, positions
from domain.identifiers import LogSeq
from domain.log.record import Recorded
from domain.ports.read_model import EventSeqs

BLOCK = 1000
DIGITS = 3


def index_rows(events: Iterable[Recorded]) -> list[tuple[str, int, str]]:
    """The rows that a batch adds to: name, block, and the offsets to be appended."""
    found: dict[tuple[str, int], list[str]] = {}
    for event in events:
        block, offset = divmod(event.seq, BLOCK)
        found.setdefault((event.event, block), []).append(f"{offset:0{DIGITS}}")
    return [(*key, "".join(offsets)) for key, offsets in found.items()]


def seqs_of(
    names: Sequence[str], after: LogSeq, before: LogSeq, limit: int, *, newest: bool
) -> CompoundSelect[Any]:
    """The position, and enough rows of each name; one statement, so that both are of one moment."""
    column = event_index.c
    inside = column.block.between((after + 1) // BLOCK, (before - 1) // BLOCK)
    order = column.block.desc() if newest else column.block
    at = select(positions.c.seq, literal("").label("offsets")).where(positions.c.name == TASKS_POSITION)
    rows = [
        select(column.block, column.offsets)
        .where(column.event == name, inside)
        .order_by(order)
        .limit(limit + 1)  # each has an event, but for one that `after` or `before` cuts
        .subquery()
        for name in names
    ]
    return union_all(at, *map(select, rows))


def as_seqs(
    rows: Iterable[Sequence[Any]], after: LogSeq, before: LogSeq, limit: int, *, newest: bool
) -> EventSeqs:
    """The first or the newest `limit` sequences from the rows of `seqs_of`."""
    every = [(block, offsets) for block, offsets in rows]
    position = next((LogSeq(seq) for seq, offsets in every if not offsets), LogSeq(0))
    found, last = list[LogSeq](), -1
    for block, offsets in sorted((one for one in every if one[1]), reverse=newest):
        if len(found) >= limit and block != last:
            break  # common events: most rows are not needed
        last = block
        seqs = (block * BLOCK + int(offsets[at : at + DIGITS]) for at in range(0, len(offsets), DIGITS))
        found += [LogSeq(seq) for seq in seqs if after < seq < before]
    return EventSeqs(sorted(found, reverse=newest)[:limit], position)
