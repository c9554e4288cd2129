"""Wakes readers when a file of one directory grows, with inotify: a wait costs nothing meanwhile.

The kernel is asked only while somebody waits. After each wake the next comes at the earliest PAUSE_SECONDS
later, so a job that writes much costs little. Where inotify is not available (its instances are limited per
user), every file counts as changed now and then.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from runner.isolation.process_traits import LIBC

IN_MODIFY, IN_CREATE = 0x2, 0x100
EVENT = struct.Struct("iIII")
READ_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


class Growth:
    """Changes of the files in `directory`. Use on one event loop."""

    def __init__(self, directory: Path, *, pause_seconds: float = 0.005, poll_seconds: float = 0.25) -> None:
        self._directory = directory
        self._pause_seconds = pause_seconds
        self._poll_seconds = poll_seconds
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._handle: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self, name: str) -> Iterator[asyncio.Event]:
        """An event that is set at each change of the file `name`, also before it exists."""
        event = asyncio.Event()
        if not self._waiting:
            self._open()
        self._waiting.setdefault(name, []).append(event)
        try:
            yield event
        finally:
            self._waiting[name].remove(event)
            if not self._waiting[name]:
                del self._waiting[name]
            if not self._waiting:
                self._close()

    def changed(self, name: str) -> None:
        """Wake who waits for this file."""
        for event in self._waiting.get(name, ()):
            event.set()

    def _open(self) -> None:
        handle = LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if (
            handle >= 0
            and LIBC.inotify_add_watch(handle, os.fsencode(self._directory), IN_MODIFY | IN_CREATE) >= 0
        ):
            self._handle = handle
            self._listen()
            return
        log.warning("no inotify: outputs are looked at now and then", error=os.strerror(ctypes.get_errno()))
        if handle >= 0:
            os.close(handle)
        self._poll()

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _listen(self) -> None:
        self._timer = None
        assert self._handle is not None
        asyncio.get_running_loop().add_reader(self._handle, self._read, self._handle)

    def _read(self, handle: int) -> None:
        for name in _names(os.read(handle, READ_BYTES)):
            if name:
                self.changed(name)
            else:  # the kernel's queue was full: anything may have changed
                self._all_changed()
        loop = asyncio.get_running_loop()
        loop.remove_reader(handle)
        self._timer = loop.call_later(self._pause_seconds, self._listen)

    def _poll(self) -> None:
        self._all_changed()
        self._timer = asyncio.get_running_loop().call_later(self._poll_seconds, self._poll)

    def _all_changed(self) -> None:
        for name in self._waiting:
            self.changed(name)


def _names(raw: bytes) -> set[str]:
    found, at = set(), 0
    while at < len(raw):
        _, _, _, length = EVENT.unpack_from(raw, at)
        at += EVENT.size
        found.add(os.fsdecode(raw[at : at + length].rstrip(b"\0")))
        at += length
    return found
