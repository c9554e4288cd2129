"""Copies a job's output through the shim into a bounded file.

Standard library only: the shim imports it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

F_SETPIPE_SZ = 1031
PIPE_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024


class Output:
    """A job's output: a file takes the first `limit` bytes, memory keeps the last `tail` bytes of the rest.

    These are appended when the job has ended, after a line with the number of missing bytes. A full disk acts
    like the limit: a job must not fail because its output cannot be stored.
    """

    def __init__(self, path: str, limit: int, tail: int) -> None:
        plain = os.O_NOFOLLOW | os.O_CLOEXEC
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | plain, 0o600)
        os.fchmod(self.file, 0o600)  # a umask may have removed even the owner's rights
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        with contextlib.suppress(OSError):  # the number of large pipes per user is limited
            fcntl.fcntl(self.write_end, F_SETPIPE_SZ, PIPE_BYTES)
        self.open = True
        self.limit = limit
        self.tail = tail
        self.size = 0
        self.rest = bytearray()
        self.missing = 0

    def take(self) -> None:
        """Read what is available, up to a full pipe."""
        for _ in range(PIPE_BYTES // CHUNK_BYTES):
            try:
                chunk = os.read(self.read_end, CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.open = False
                return
            self._put(chunk)

    def finish(self) -> None:
        """Store the rest, once no process of the job can write."""
        while self.open:
            before = self.size + len(self.rest) + self.missing
            self.take()
            if self.size + len(self.rest) + self.missing == before:
                break  # a process outside the job holds the other end: do not wait for it
        self._trim(self.tail)
        if self.missing:
            words = (
                f"\n[towpath: {self.missing} bytes of output are left out here, {self.limit} stand before]\n"
            )
            self.rest[:0] = words.encode()
        self._write(self.rest)
        os.close(self.file)

    def _put(self, chunk: bytes) -> None:
        room = max(0, self.limit - self.size)
        kept = self._write(memoryview(chunk)[:room]) if room else 0
        if kept < len(chunk):
            self.limit = self.size
            self.rest += memoryview(chunk)[kept:]
            if len(self.rest) > 2 * self.tail + CHUNK_BYTES:
                self._trim(self.tail)

    def _trim(self, size: int) -> None:
        over = max(0, len(self.rest) - size)
        del self.rest[:over]
        self.missing += over

    def _write(self, data: bytes | bytearray | memoryview) -> int:
        done = 0
        with contextlib.suppress(OSError):
            while done < len(data):
                done += os.write(self.file, memoryview(data)[done:])
        self.size += done
        return done
