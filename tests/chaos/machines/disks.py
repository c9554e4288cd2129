"""Disks that can be filled, and that forget at a power cut what was not synced.

Each is a tmpfs, which is shrunk to what stands on it: that leaves not one free byte, at once and without
taking memory for ballast, however large the disk is (nats-server wants some gigabytes to begin with,
since streams reserve theirs). Where FUSE is there, `volatile_files` stands before it, and unmounting that
is the power cut.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.chaos.machines.network import run

TRIES = 50
MOUNT_SECONDS = 20.0
CUT_SECONDS = 60.0
POLL_SECONDS = 0.02


def why_no_power_cuts() -> str | None:
    """What is missing for power cuts, and what to do; None where nothing is."""
    if not Path("/dev/fuse").exists():
        return "/dev/fuse is not there: load the kernel module fuse, or give the container that device"
    try:
        importlib.import_module("mfusepy")  # which looks for the C library
    except ImportError:
        return "the Python package mfusepy is not installed"
    except OSError as error:
        return f"{error}: apt-get install fuse3"
    return None


class Disk:
    """Mounted at `path`, which is made, and gone with the cell. `forgets`: its power can be cut."""

    def __init__(self, name: str, path: Path, megabytes: int, forgets: bool = False) -> None:
        self.name, self.path, self.forgets = name, path, forgets
        self._size = megabytes << 20
        self._store = path.with_name(f"{path.name}.disk") if forgets else path
        self._server: subprocess.Popen[bytes] | None = None
        self._store.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={self._size},mode=0755", "tmpfs", str(self._store))
        if forgets:
            path.mkdir(exist_ok=True)
            self._mount()
            self._prove()

    def fill(self) -> None:
        """Leave no room. What is written meanwhile may make it take a few tries."""
        for number in range(TRIES):
            state = os.statvfs(self._store)
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

    def cut_power(self) -> None:
        """Forget what was not synced. RuntimeError: a process still uses the disk, or the disk broke."""
        assert self._server is not None
        deadline = time.monotonic() + CUT_SECONDS
        while True:
            try:
                run("umount", str(self.path))
                break
            except RuntimeError:  # what was killed has not let go of its files yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
        code = self._server.wait(CUT_SECONDS)
        if code != 0:
            raise RuntimeError(
                f"the disk {self.name} broke at the cut: exit code {code}, see {self._words()}"
            )
        self._mount()

    def _mount(self) -> None:
        kept = self.path.with_name(f"{self.path.name}.synced")
        command = [
            sys.executable,
            "-m",
            "tests.chaos.machines.volatile_files",
            str(self._store),
            str(kept),
            str(self.path),
        ]
        with self._words().open("ab") as words:
            self._server = subprocess.Popen(
                command, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        deadline = time.monotonic() + MOUNT_SECONDS
        while not self.path.is_mount():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the disk {self.name} was not mounted: see {self._words()}")
            time.sleep(POLL_SECONDS)

    def _prove(self) -> None:
        """A disk that forgets nothing would show nothing."""
        synced, unsynced = self.path / "synced", self.path / "unsynced"
        with synced.open("wb") as file:
            file.write(b"1")
            file.flush()
            os.fsync(file.fileno())
        unsynced.write_bytes(b"1")
        self.cut_power()
        if unsynced.exists() or synced.read_bytes() != b"1":
            raise RuntimeError(f"the disk {self.name} does not forget what was not synced, or more than that")
        synced.unlink()

    def _words(self) -> Path:
        return self.path.with_name(f"{self.path.name}.disk.log")

    def _resize(self, size: int) -> None:
        run("mount", "-o", f"remount,size={size}", str(self._store))
