"""What is known of runners: the last heartbeat of each."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from domain.wire import Heartbeat


class Heartbeats(Protocol):
    """The last heartbeat of each runner."""

    async def publish(self, heartbeat: Heartbeat) -> None:
        """Store a heartbeat; returns once it is acknowledged. Refused if its counter went back."""
        ...

    async def all(self) -> list[tuple[Heartbeat, datetime]]:
        """The last heartbeat of every runner and when the broker stored it."""
        ...

    async def last(self, runner_id: str, within: float = 0.0) -> tuple[Heartbeat, datetime] | None:
        """A runner's last heartbeat from the leader, or as it was up to `within` seconds ago; None: none."""
        ...
