"""Events by their names, found with the read model's index and read from the log.

The log's own filter for a name costs more the longer the log is, this the same. What the index does not know
yet, and all of it while its database is away, is left to the log's filters.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import Busy
from domain.identifiers import LOG_START, LogSeq
from domain.log.record import Recorded
from domain.ports.log import LogReader
from domain.ports.read_model import EventSeqs, ReadModel

DENSE = 4
"""Events that stand so close to each other are read as one page, with what is between them."""
UNKNOWN = EventSeqs([], LOG_START)


async def find(
    read_model: ReadModel, names: Sequence[str], after: LogSeq, before: LogSeq, limit: int, *, newest: bool
) -> EventSeqs:
    """The first or the newest `limit` sequences; UNKNOWN while the database is away."""
    try:
        return await read_model.event_seqs(names, after, before, limit, newest=newest)
    except Busy:
        return UNKNOWN


async def read(log: LogReader, names: Sequence[str], seqs: Sequence[LogSeq]) -> list[Recorded] | None:
    """The events at `seqs`; None where other ones stand there, or a replica that was asked lags."""
    if not seqs:
        return []
    first, last = min(seqs), max(seqs)
    if last - first < DENSE * len(seqs):
        between = await log.page(LogSeq(first - 1), last - first + 1)
        found = {event.seq: event for event in between}
        events = [found[seq] for seq in seqs if seq in found]
    else:
        events = await log.at(seqs)
    whole = [event.seq for event in events if event.event in names] == list(seqs)
    return events if whole else None
