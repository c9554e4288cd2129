"""Why events of a fold are void, kept by their position, so that a request can be answered.

Only void events are remembered, and a bounded number of them. For a position before the oldest one, the
answer is Busy instead of a guess.
"""

from __future__ import annotations

from collections import OrderedDict

from domain.errors import Busy
from domain.identifiers import LogSeq
from domain.locks.claims import Key
from domain.locks.judging import Void
from domain.log.record import Recorded

REMEMBERED = 4096


class VoidEvents:
    """The void events of one fold, in the order of the log."""

    def __init__(self) -> None:
        self._since = 0
        self._by_seq: OrderedDict[int, tuple[Void, Key | None]] = OrderedDict()
        self._claims: dict[Key, Void] = {}

    def start(self, seq: LogSeq) -> None:
        """Note that the fold begins after `seq`."""
        self._since = seq

    def note(self, event: Recorded, void: Void) -> None:
        """Remember that `event` is void."""
        key = (event.subject_id, event.attempt) if event.kind == "task" and event.attempt else None
        self._by_seq[event.seq] = (void, key)
        if key is not None:
            self._claims[key] = void
        if len(self._by_seq) > REMEMBERED:
            self._since, (_, oldest) = self._by_seq.popitem(last=False)
            if oldest is not None:
                del self._claims[oldest]

    def at(self, seq: LogSeq) -> Void | None:
        """Why the folded event at `seq` is void; None if it is valid.

        Raises:
            Busy: the event is too far back.
        """
        if seq <= self._since:
            raise Busy("busy", f"the event stands at sequence {seq}; ask whether it counts")
        found = self._by_seq.get(seq)
        return found[0] if found is not None else None

    def of_claim(self, key: Key) -> Void | None:
        """Why the `dispatched` of this attempt is void, if it is and was folded recently."""
        return self._claims.get(key)
