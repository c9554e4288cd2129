"""Ranges of an attempt's output: what its runner is asked for, and what it answers.

Offsets count the bytes that the runner has stored: masked, and with what it says about bytes left out. They
never change, so a reader can go on anywhere. The answer's figures travel in headers with the same names over
NATS and HTTP, so that the body is the output and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from domain.identifiers import CheckedTaskId, Name
from domain.protocol import MAX_COUNTER, Wire

RANGE_BYTES = 256 * 1024
MAX_RANGE_BYTES = 1024 * 1024
MAX_WAIT_SECONDS = 20.0

ATTEMPT = "Towpath-Output-Attempt"
OFFSET = "Towpath-Output-Offset"
SIZE = "Towpath-Output-Size"
COMPLETE = "Towpath-Output-Complete"
CUT = "Towpath-Output-Cut"
PROBLEM = "Towpath-Output-Problem"
"""Over NATS alone: why there is no range; the body says it in words."""
GONE = "output-gone"
BUSY = "busy"


class RangeRequest(Wire):
    """Asks a runner for bytes of an attempt's output; the answer may hold fewer than `limit`."""

    task_id: CheckedTaskId
    attempt: int = Field(ge=1, lt=2**31)
    offset: int = Field(default=0, ge=-MAX_COUNTER, le=MAX_COUNTER, description="negative: from the end")
    limit: int = Field(default=RANGE_BYTES, ge=1, le=MAX_RANGE_BYTES)
    wait: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="seconds to wait where nothing is behind `offset` yet",
    )
    instance: Name | None = Field(
        default=None, description="the runner that has the attempt, if several share its id"
    )


@dataclass(frozen=True, slots=True)
class OutputRange:
    """Bytes from `offset`.

    `complete`: the output does not grow any more; `cut`: bytes left out of its middle.
    """

    data: bytes
    offset: int
    size: int
    complete: bool
    cut: int = 0

    def headers(self) -> dict[str, str]:
        """Everything but the bytes."""
        return {
            OFFSET: str(self.offset),
            SIZE: str(self.size),
            COMPLETE: "true" if self.complete else "false",
            CUT: str(self.cut),
        }

    @classmethod
    def parse(cls, headers: Mapping[str, str], data: bytes) -> OutputRange:
        """The range that a runner has answered. ValueError if it is none."""
        try:
            offset, size, cut = (int(headers[name]) for name in (OFFSET, SIZE, CUT))
            complete = {"true": True, "false": False}[headers[COMPLETE]]
        except KeyError as error:
            raise ValueError(f"no {error.args[0]}") from None
        if min(offset, size, cut) < 0 or (data and offset + len(data) > size):
            raise ValueError("its figures contradict each other")
        return cls(data, offset, size, complete, cut)
