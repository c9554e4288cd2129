"""Leader quorum: whether the leader of a replicated stream still has its majority, so answers are newest.

A leader that was cut off goes on answering reads for ten seconds and more, while the others elect a new one
after four. JetStream has no read that asks the majority, but the stream's info tells how long ago the leader
heard each replica. Replicas that it heard less than the shortest election timeout ago cannot have elected
another leader, so each look is good for the rest of that time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from eventsourcing_nats.request_reply import Unanswered

SHORTEST_ELECTION_SECONDS = 4.0
MARGIN_SECONDS = 0.5
UNREPLICATED_SECONDS = 5.0


class LeaderQuorum:
    """Asks for the stream's info where the last look at it is too old."""

    def __init__(self, info: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._info = info
        self._asking = asyncio.Lock()
        self._certain_until = 0.0

    async def confirm(self) -> None:
        """Return once it is certain that what a leader answered before this call was the newest.

        Raises Unanswered where it is not: the read has to be repeated.
        """
        loop = asyncio.get_running_loop()
        called = loop.time()
        if called < self._certain_until:
            return
        async with self._asking:
            if called < self._certain_until:
                return
            asked = loop.time()
            self._certain_until = asked + certain_seconds(await self._info())


def certain_seconds(info: dict[str, Any]) -> float:
    """For how long after a stream's info was asked for no other leader can exist. Raises Unanswered."""
    cluster = info.get("cluster") or {}
    others, leader = cluster.get("replicas") or [], cluster.get("leader")
    if not others and info["config"].get("num_replicas", 1) == 1:
        return UNREPLICATED_SECONDS
    # Without a leader any replica answers, from what it has, and lists itself among the replicas.
    if not leader or not others or any(one.get("name") == leader for one in others):
        raise Unanswered("the replica that answered does not lead the stream")
    heard = [one["active"] / 1e9 for one in others if one["active"] > 0 and not one.get("offline")]
    needed = (len(others) + 1) // 2  # with the leader itself a majority
    silent = sorted(heard)[needed - 1] if len(heard) >= needed else float("inf")
    left = SHORTEST_ELECTION_SECONDS - MARGIN_SECONDS - silent
    if left <= 0:
        raise Unanswered("the stream's leader may have been replaced: it does not hear a majority")
    return left
