"""Resumes a broken event stream, also where the log was replaced by an older copy or another.

What was seen is kept as positions, each with the id of its event, and thinned as it grows: enough to find,
after a restore, the last event seen that still stands. Everything behind it is new to the reader.
"""

from __future__ import annotations

from domain.log.position import BEYOND, OTHER_LOG, Position
from infra.cli.client.http import Api, Json
from infra.cli.exit_codes import CliError

MOST = 2000


class LastSeen:
    """The positions that were seen, in order; `position` is where to go on, None: from now on."""

    def __init__(self, after: int | None) -> None:
        self.position = Position(after) if after is not None else None
        self._kept: list[Position] = []

    def note(self, position: Position) -> None:
        """Everything up to here was seen."""
        self.position = position
        if position.event_id is None:
            return
        if self._kept and self._kept[-1].seq >= position.seq:
            self._kept.pop()
        self._kept.append(position)
        if len(self._kept) > MOST:
            self._kept[: MOST // 2] = self._kept[: MOST // 2 : 2]

    def go_back(self, api: Api) -> tuple[Position, Position]:
        """Go on behind the last event seen that still stands; that position, and the one that was reached.

        Where none of them stands, that is the start of the log. CliError: the API does not say.
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
