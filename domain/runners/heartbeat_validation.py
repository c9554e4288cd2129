"""Validation of heartbeats that arrive over NATS, where a permitted client may send any bytes.

Over HTTP a bad heartbeat is refused. Over NATS the broker stores and acknowledges it unseen, and its sender
believes that it has renewed its lease. This check finds such heartbeats, so that an operator is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from domain import subjects
from domain.identifiers import RunnerId
from domain.protocol import Heartbeat
from domain.validation.json_reader import parsed

UNREADABLE = "invalid-heartbeat"
OF_ANOTHER = "wrong-runner"
SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class ArrivedBeat:
    """The raw message published as the heartbeat of `runner_id`, on subject `source`."""

    runner_id: RunnerId
    body: bytes
    source: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a heartbeat is not valid. `reason` is a stable code, `detail` tells what to do."""

    reason: str
    detail: str


class BeatFeed(Protocol):
    """Heartbeats published over NATS. Each listener gets all of them in the same order."""

    async def listen(self, handle: Callable[[ArrivedBeat], Awaitable[None]]) -> None:
        """Pass them to `handle` one by one until canceled; at most once, and a flood loses some."""
        ...


def examine_beat(arrived: ArrivedBeat) -> Heartbeat | Fault:
    """The heartbeat, or why it is not a valid one of the runner on whose subject it was published."""
    try:
        beat = parsed(Heartbeat, arrived.body)
    except ValidationError as error:
        return Fault(UNREADABLE, _words(error))
    if beat.runner_id != arrived.runner_id:
        return Fault(
            OF_ANOTHER,
            f"it says that it is of runner {beat.runner_id}; publish it on {subjects.runner(beat.runner_id)}",
        )
    return beat


def _words(error: ValidationError) -> str:
    found = [
        f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False)
    ]
    more = f"; and {len(found) - SHOWN_ERRORS} more" if len(found) > SHOWN_ERRORS else ""
    return "; ".join(found[:SHOWN_ERRORS]) + more
