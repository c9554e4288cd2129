"""A position in the log that tells one log from another: a sequence and the id of the event there.

A sequence alone does not identify the log it was taken from. After the restore of an older backup the same
sequence may lie beyond the end, or hold another event, and a reader that goes on from it misses new events.
A reader therefore keeps the event's id with its position, and both are checked before it goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

BEYOND, OTHER_LOG = "beyond-the-log", "other-log"
PATTERN = r"^[0-9]{1,19}(\.[A-Za-z0-9_-]{1,64})?$"
MAX_SEQ = 2**63 - 1
_FORM = re.compile(PATTERN)


@dataclass(frozen=True, slots=True)
class Position:
    """Directly after the event at `seq`; `event_id` is its id, None if unknown or if `seq` is 0."""

    seq: int
    event_id: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position written as `SEQ` or `SEQ.EVENT_ID`; ValueError for any other text."""
        if not text.isascii() or not _FORM.match(text) or text.endswith("\n"):
            raise ValueError(
                "write a sequence, or a sequence, a dot and the id of the event that stands there"
            )
        seq, _, event_id = text.partition(".")
        if int(seq) > MAX_SEQ:
            raise ValueError(f"a sequence is at most {MAX_SEQ}")
        return cls(int(seq), event_id or None)

    def __str__(self) -> str:
        return f"{self.seq}.{self.event_id}" if self.event_id else str(self.seq)
