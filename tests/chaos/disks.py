"""Disks that can be filled: a tmpfs each, which is shrunk to what stands on it.

Shrinking leaves not one free byte, at once and without taking memory for ballast, however large the disk is:
nats-server wants some gigabytes to begin with, since streams reserve theirs.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.network import run

TRIES = 50


class Disk:
    """Mounted at `path`, which is made. It vanishes with the cell."""

    def __init__(self, name: str, path: Path, megabytes: int) -> None:
        self.name, self.path = name, path
        self._size = megabytes << 20
        path.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={self._size},mode=0755", "tmpfs", str(path))

    def fill(self) -> None:
        """Leave no room. What is written meanwhile may make it take a few tries."""
        for number in range(TRIES):
            state = os.statvfs(self.path)
            used = (state.f_blocks - state.f_bfree) * state.f_frsize
            try:
                self._resize(used + number * state.f_frsize)
            except RuntimeError:
                if number == TRIES - 1:
                    raise
            else:
                return

    def free(self) -> None:
        """Give it back."""
        self._resize(self._size)

    def _resize(self, size: int) -> None:
        run("mount", "-o", f"remount,size={size}", str(self.path))
