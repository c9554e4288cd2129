"""Port `Heartbeats`: the last heartbeat of each runner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from domain.identifiers import RunnerId
from domain.protocol import Heartbeat
from domain.runners.liveness import LeaseTerms


class Heartbeats(Protocol):
    """The last heartbeat of each runner."""

    async def publish(self, heartbeat: Heartbeat) -> None:
        """Store a heartbeat; returns once it is acknowledged.

        Raises:
            Refused: `counter-went-back`, or `runner-id-taken` while another instance may be alive.
        """
        ...

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        """The last heartbeat of every runner that has not left, and when the broker stored it."""
        ...

    async def recent(self) -> dict[str, list[tuple[Heartbeat, datetime]]]:
        """The last few heartbeats of every runner that has not left, by id, oldest first."""
        ...

    async def forget(
        self, runner_id: RunnerId, terms: LeaseTerms, check: Callable[[], Awaitable[None]]
    ) -> None:
        """Remove the heartbeats of a runner that is lost by the broker's clock; a newer one stays.

        `check` is called once the runner is known to be lost, and may raise.

        Raises:
            NotFound: `runner-not-found`.
            Refused: `runner-alive`.
        """
        ...

    async def fullness(self) -> float:
        """The part of the room for heartbeats that is taken, from 0 to 1; a full one rejects them."""
        ...

    async def complete(self, since: datetime) -> bool:
        """Whether the last heartbeat of every runner, stored after `since`, is certainly still there.

        Goodbyes are the exception: they expire.
        """
        ...

    async def last(
        self, runner_id: RunnerId, within: float = 0.0, instance: str | None = None
    ) -> tuple[Heartbeat, datetime] | None:
        """A runner's last heartbeat, from the leader or from a cache at most `within` seconds old; or None.

        With `instance`, that instance's if it is among the last few; else the last of any instance.
        """
        ...
