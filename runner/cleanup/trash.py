"""Trash: directories of ended jobs, removed in the background.

A directory is moved aside at once and emptied in the background; the next start of the runner continues with
the rest. What cannot be removed stays and is logged. Nothing here raises: cleaning up must not prevent the
end of an attempt or the start of a runner.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from itertools import islice
from pathlib import Path

import structlog

from domain.lifecycle.asyncio_tasks import end_tasks
from runner.cleanup.removal import FLAGS, Emptying, discard, make_writable, new_name

NAME = ".removed"
MOST_LEFTOVERS = 100_000  # limit of entries moved aside by one start
NAMED_IN_LOG = 3

log = structlog.get_logger(__name__)


class Trash:
    """Trash for the directories in `work`. `start` and `stop` on the event loop; `put` at any time."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._filled = asyncio.Event()
        self._ending = threading.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Move everything that an earlier run left aside, and start to empty the trash."""
        try:
            if (self._work / NAME).is_dir():
                _make(self._work / NAME)  # not accessible to others, even if it exists with another mode
            with os.scandir(self._work) as entries:
                for name in [entry.name for entry in islice(entries, MOST_LEFTOVERS)]:
                    if name != NAME:
                        self.put(self._work / name)
        except OSError as error:
            log.warning("cannot list directories of earlier jobs", directory=str(self._work), why=str(error))
        self._filled.set()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop; the next start continues."""
        self._ending.set()
        if self._task is not None:
            self._filled.set()
            await asyncio.wait({self._task})
            await end_tasks([self._task])

    def put(self, path: Path) -> None:
        """Move the directory aside. Its name is free afterwards, unless that fails, which is logged."""
        try:
            _make(self._work / NAME)
            _move(path, self._work / NAME / new_name())
        except FileNotFoundError:
            return
        except Exception as error:
            log.warning("what a job made is left", path=ascii(str(path)), why=ascii(str(error)))
            return
        self._filled.set()

    async def _run(self) -> None:
        while not self._ending.is_set():
            await self._filled.wait()
            self._filled.clear()
            try:
                stuck = await asyncio.to_thread(self._empty)
            except Exception as error:
                log.warning("cannot remove what jobs made", directory=str(self._work), why=ascii(str(error)))
                continue
            if stuck:
                some = stuck[:NAMED_IN_LOG]
                log.warning("cannot remove what jobs made", directory=str(self._work / NAME), what=some)

    def _empty(self) -> list[str]:
        try:
            top = os.open(self._work / NAME, FLAGS)
        except FileNotFoundError:
            return []
        try:
            emptying = Emptying(top, self._ending.is_set)
            emptying.run()
            return list(emptying.stuck.values())
        finally:
            os.close(top)


def _move(path: Path, to: Path) -> None:
    try:
        path.rename(to)
    except PermissionError:  # moving it writes its entry `..`, which needs write permission
        make_writable(str(path))
        path.rename(to)


def _make(path: Path) -> None:
    """Make a directory of the runner's own, replacing anything else of that name. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            discard(path)
            path.mkdir(mode=0o700)
        elif stat.S_IMODE(path.lstat().st_mode) != stat.S_IRWXU:
            path.chmod(stat.S_IRWXU)
