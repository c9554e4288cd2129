"""Deletes old outputs: after some days, and beyond a total size the oldest ended first.

The time of a file is when its attempt ended. Outputs of attempts that the control plane may still ask about
(those in heartbeats) are never deleted. Files of earlier versions are counted and deleted alike.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from domain.identifiers import TaskId
from domain.lifecycle.asyncio_tasks import wait_at_most
from runner.cleanup.removal import discard
from runner.output.files import SUFFIX
from runner.process.shim.output import cut_file
from runner.store.state import Key, RunnerState

DAY_SECONDS = 24 * 3600.0
LEAST_BYTES = 4096
"""What a small file takes on the disk."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Kept:
    path: Path
    key: Key
    ended_at: float
    size: int


class Retention:
    """Looks at the outputs after attempts have ended, and now and then."""

    def __init__(
        self,
        state: RunnerState,
        days: float,
        total_bytes: int,
        *,
        pause_seconds: float = 30.0,
        round_seconds: float = 3600.0,
    ) -> None:
        """`pause_seconds`: at least between two looks; `round_seconds`: at most."""
        self._state = state
        self._seconds = days * DAY_SECONDS
        self._total_bytes = total_bytes
        self._pause_seconds = pause_seconds
        self._round_seconds = round_seconds
        self._ended = asyncio.Event()

    def ended(self) -> None:
        """An attempt has ended."""
        self._ended.set()

    async def run(self) -> None:
        """Run until canceled."""
        while True:
            self._ended.clear()
            try:
                await asyncio.to_thread(self.sweep, time.time())
            except OSError as error:
                log.warning("cannot look at old outputs", why=str(error))
            await asyncio.sleep(self._pause_seconds)
            await wait_at_most(self._ended, self._round_seconds)

    def sweep(self, now: float) -> list[Key]:
        """Delete what is too old or too much at the time `now`; returns whose outputs were deleted."""
        kept = sorted(_outputs(self._state.outputs), key=lambda one: one.ended_at)
        total, deleted = sum(one.size for one in kept), []
        for one in kept:
            if one.ended_at > now - self._seconds and total <= self._total_bytes:
                break
            if self._state.holds(one.key):
                continue
            why = discard(one.path) or discard(Path(cut_file(str(one.path))))
            if why is not None:
                log.warning("an old output is left", why=why)
                continue
            total -= one.size
            deleted.append(one.key)
        return deleted


def _outputs(directory: Path) -> Iterator[_Kept]:
    with os.scandir(directory) as entries:
        for entry in entries:
            task_id, _, rest = entry.name.partition(".")
            attempt, _, suffix = rest.partition(".")
            if not attempt.isdigit() or f".{suffix}" not in (SUFFIX, ".log"):
                continue
            try:
                seen = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            size = max(seen.st_size, LEAST_BYTES)
            yield _Kept(Path(entry.path), Key(TaskId(task_id), int(attempt)), seen.st_mtime, size)
