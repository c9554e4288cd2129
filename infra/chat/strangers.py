"""Strangers: a person without a [[user]] gets no answer, and a line in the log now and then.

That line names the number by which somebody is added. It is written once an hour a person, and for a bounded
number of persons, so that strangers cannot fill the log.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from adapters.telegram.updates import Person

AGAIN_AFTER = timedelta(hours=1)
MOST_AN_HOUR = 20
log = structlog.get_logger(__name__)


class Strangers:
    """Who wrote lately."""

    def __init__(self) -> None:
        self._seen: dict[int, datetime] = {}

    def came(self, person: Person, now: datetime) -> None:
        """A stranger wrote or pressed something."""
        self._seen = {id: at for id, at in self._seen.items() if now - at < AGAIN_AFTER}
        if person.id in self._seen or len(self._seen) >= MOST_AN_HOUR:
            return
        self._seen[person.id] = now
        log.warning(
            "a stranger wrote to the bot, and got no answer; a [[user]] with this id lets them in",
            user_id=person.id,
            says_to_be=person.name[:64],
        )
