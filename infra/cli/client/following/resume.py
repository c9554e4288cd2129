"""Resumes a broken event stream, even after the log was replaced by an older copy or another log.

It remembers positions with their event ids, fewer as their number grows: enough to find, after a restore, the
last event seen that still exists. All events after it are new to the reader.
"""

from __future__ import annotations

from domain.log.position import BEYOND, OTHER_LOG, Position
from infra.cli.client.http import Api, Json
from infra.errors.cli_error import CliError

MOST = 2000


class LastSeen:
    """The positions that were seen, in order; `position` is where to resume, None: from now on."""

    def __init__(self, after: int | None) -> None:
        self.position = Position(after) if after is not None else None
        self._kept: list[Position] = []

    def note(self, position: Position) -> None:
        """Record that all events up to here were seen."""
        self.position = position
        if position.event_id is None:
            return
        if self._kept and self._kept[-1].seq >= position.seq:
            self._kept.pop()
        self._kept.append(position)
        if len(self._kept) > MOST:
            self._kept[: MOST // 2] = self._kept[: MOST // 2 : 2]

    def go_back(self, api: Api) -> tuple[Position, Position]:
        """Resume after the last seen event that still exists; returns its position and the last one reached.

        Resumes at the start of the log if none exists. CliError: the API does not answer.
        """
        reached = self.position or Position(0)
        standing, gone = 0, len(self._kept)
        while standing < gone:
            middle = (standing + gone) // 2
            if _stands(api, self._kept[middle]):
                standing = middle + 1
            else:
                gone = middle
        del self._kept[standing:]
        self.position = self._kept[-1] if self._kept else Position(0)
        return self.position, reached


def _stands(api: Api, position: Position) -> bool:
    try:
        items: list[Json] = api.get("/events", after_seq=position.seq - 1, limit=1)["items"]
    except CliError as error:
        if error.code not in (BEYOND, OTHER_LOG):
            raise
        return False
    return bool(items) and (items[0]["seq"], items[0]["id"]) == (position.seq, position.event_id)
