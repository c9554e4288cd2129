"""The locks that this process holds for its agent: renewed while it lives, given back when it ends.

A claim never waits. An agent that holds one lock and waits for another can close a circle with a second agent
that does the same, and no order of waiting would resolve it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from towpath_client import AsyncClient, AsyncLock, LockLost, LockNotGranted, TowpathError, problems

T = TypeVar("T")
CLAIM_SECONDS = 30.0
END_SECONDS = 10.0


class ClaimRefused(Exception):
    """The lock was not granted; the message says who holds it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One lock that was granted."""

    workspace: str
    paths: list[str]
    shared: bool
    lock: AsyncLock

    def shown(self) -> dict[str, Any]:
        """The claim as tools answer it."""
        what = {"claim": self.lock.task_id, "workspace": self.workspace, "paths": self.paths}
        mode = "shared" if self.shared else "exclusive"
        try:
            return {**what, "mode": mode, "state": "held", "token": self.lock.token}
        except LockLost as lost:
            return {**what, "mode": mode, "state": "lost", "reason": str(lost)}


class Claims:
    """All claims of this process, by the id of the task that stands for each in the trail."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._held: dict[str, Claim] = {}
        self._working: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Lock()

    def shown(self) -> list[dict[str, Any]]:
        """Every claim, also one that was lost and is not released yet."""
        return [claim.shown() for claim in self._held.values()]

    def lost(self) -> list[str]:
        """Ids of claims that are no longer valid."""
        return [one["claim"] for one in self.shown() if one["state"] == "lost"]

    def newest(self) -> str | None:
        """The id of the claim that was granted last."""
        return next(reversed(self._held), None)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._held

    async def claim(self, workspace: str, paths: Sequence[str], shared: bool, title: str) -> dict[str, Any]:
        """Acquire now or not at all; the claim. Raises ClaimRefused, TowpathError."""
        return (await self._whole(self._entered(workspace, list(paths), shared, title))).shown()

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` to its end, also where the agent cancels its call: no claim is left without an owner."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return await asyncio.shield(task)

    async def _entered(self, workspace: str, paths: list[str], shared: bool, title: str) -> Claim:
        lock = self._client.lock(workspace, paths, shared=shared, wait=0, title=title, labels={"by": "mcp"})
        try:
            async with asyncio.timeout(CLAIM_SECONDS):
                await lock.__aenter__()
        except (problems.WorkspaceLocked, LockNotGranted) as refused:
            raise ClaimRefused(await self._why(lock.task_id, refused)) from None
        except TimeoutError:
            raise ClaimRefused(f"the control plane granted nothing within {CLAIM_SECONDS:g} s") from None
        self._held[lock.task_id] = claim = Claim(workspace, paths, shared, lock)
        return claim

    async def _why(self, task_id: str, refused: TowpathError) -> str:
        holders = refused.extra.get("holders", []) if isinstance(refused, problems.WorkspaceLocked) else []
        own = [one["task_id"] for one in holders if one["task_id"] in self]
        if own:
            return f"your own claim {own[0]} holds these paths or some of them: release it first"
        try:
            about = [task_id, *(one["task_id"] for one in holders[:1])]
            return " ".join([(await self._client.why(one)).sentence for one in about])
        except TowpathError:
            return str(refused)

    async def release(self, task_id: str) -> None:
        """Give one claim back. LockLost: it was lost before, so others may have worked in its paths."""
        claim = self._held.pop(task_id)
        await self._whole(claim.lock.__aexit__(None, None, None))

    async def close(self) -> None:
        """Give everything back that soon can be; the rest comes back after lease and grace."""
        try:
            async with (
                asyncio.timeout(END_SECONDS),
                self._closing,
            ):  # a killed agent ends both streams at once
                await asyncio.gather(*self._working, return_exceptions=True)
                ends = [self.release(task_id) for task_id in self._held]
                await asyncio.gather(*ends, return_exceptions=True)
        except TimeoutError:
            return
