"""Leader quorum: whether a stream's leader still has its majority, so that a read is linearizable.

A leader that is cut off goes on answering reads from its own state for ten seconds and more, while the others
elect a new one after four. Its "no such task" or "not granted" is then wrong. JetStream has no quorum read,
but a leader reports when it last heard each replica. Replicas that it heard less than the shortest election
timeout ago cannot have elected another leader, so each check is valid for the rest of that time.

Without a leader, any replica answers a request for a stream's info from its own state, which may lag far.
Such an answer lists the replica itself among the replicas, and names no leader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

SHORTEST_ELECTION_SECONDS = 4.0
MARGIN_SECONDS = 0.5
UNREPLICATED_SECONDS = 5.0
OUTLIVED_SECONDS = 21.0
"""A leader that is cut off checks every 10 seconds whether it has lacked its majority for 10 seconds."""
_NANOSECONDS = 1e9


class NoMajority(Exception):
    """The answering leader has not heard enough replicas: another one may have been elected."""


class Leadership:
    """Confirms a stream's leader; calls `info` for the stream's info if the last check is too old."""

    def __init__(self, info: Callable[[], Awaitable[dict[str, Any]]], led_seconds: float = 0.0) -> None:
        self._info = info
        self._led_seconds = led_seconds
        self._asking = asyncio.Lock()
        self._certain_until = 0.0
        self._replicated = True

    async def has_replicas(self) -> bool:
        """Whether the stream has replicas, which may lag behind the leader. Raises NoMajority."""
        await self.confirm()
        return self._replicated

    async def confirm(self) -> None:
        """Return once it is certain that the leader's answers before this call were linearizable.

        Raises:
            NoMajority: it is not certain; repeat the read in a moment.
        """
        called = asyncio.get_running_loop().time()
        if called < self._certain_until:
            return
        async with self._asking:
            if called < self._certain_until:
                return
            # counted from before the request, since its answer may have been under way for long
            asked = asyncio.get_running_loop().time()
            info = await self._info()
            self._certain_until = asked + certain_seconds(info, self._led_seconds)
            self._replicated = _replicated(info)


def certain_seconds(info: dict[str, Any], led_seconds: float = 0.0) -> float:
    """For how many seconds after the request for `info` no other leader can have been elected.

    With `led_seconds` of OUTLIVED_SECONDS no deposed leader answers beside it either, as one may shortly
    after an election.

    Raises:
        NoMajority: for zero seconds; or the answering server does not lead, or not for `led_seconds` yet.
    """
    if not _replicated(info):
        return UNREPLICATED_SECONDS
    others, leader = _others(info), (info.get("cluster") or {}).get("leader")
    if not leader or not others or any(one.get("name") == leader for one in others):
        raise NoMajority("the replica that answered does not lead; perhaps none does at the moment")
    needed = (len(others) + 1) // 2  # with the leader itself a majority
    led = led_for(info)
    if led is not None and led < led_seconds:
        raise NoMajority(f"it has led for {led:.1f} s only, and the one before it may still answer")
    heard = [one for one in others if one["active"] > 0 and not one.get("offline")]  # 0: never
    silent = sorted(one["active"] / _NANOSECONDS for one in heard)
    if len(silent) < needed:
        unheard = f"{len(others) - len(silent)} of its {len(others)} other replicas"
        raise NoMajority(f"{unheard} are offline or have not been heard yet")
    left: float = SHORTEST_ELECTION_SECONDS - MARGIN_SECONDS - silent[needed - 1]
    if left <= 0:
        raise NoMajority(f"it has not heard a majority of its replicas for {silent[needed - 1]:.1f} s")
    return left


def _replicated(info: dict[str, Any]) -> bool:
    return bool(_others(info)) or (info.get("config") or {}).get("num_replicas", 1) > 1


def _others(info: dict[str, Any]) -> list[dict[str, Any]]:
    return (info.get("cluster") or {}).get("replicas") or []


def led_for(info: dict[str, Any]) -> float | None:
    """How many seconds the leader has led, by its own clock; None if it does not report it."""
    since, now = (info.get("cluster") or {}).get("leader_since"), info.get("ts")
    if not (since and now):
        return None
    return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
