"""Copies a job's output through the shim into a bounded file, without declared secrets.

Positions in the file are those that readers name, so it only grows, and what stands in it never changes.
Standard library only: the shim imports it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable

from runner.process.masking.masker import Masker

F_SETPIPE_SZ = 1031
PIPE_BYTES = 1024 * 1024
CHUNK_BYTES = 64 * 1024


class Output:
    """A job's output: a file takes the first `limit` bytes, memory keeps the last `tail` bytes of the rest.

    These are appended when the job has ended, after a line with the number of missing bytes, which is also
    stored in a file of its own. A full disk acts like the limit: a job must not fail because its output
    cannot be stored. When the job has ended, the file's time is the time of that.
    """

    def __init__(self, path: str, limit: int, tail: int, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.masker = Masker(secrets)
        plain = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # an earlier job may have left a link or a FIFO
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
        self.taken = 0
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
            self.taken += len(chunk)
            self._put(self.masker.feed(chunk))

    def note(self, text: str) -> None:
        """Add a line of the shim's own."""
        self._put(f"\n[towpath: {text}]\n".encode())

    def finish(self) -> None:
        """Store the rest, once no process of the job can write."""
        while self.open:
            before = self.taken
            self.take()
            if self.taken == before:
                break  # a process outside the job holds the other end: do not wait for it
        self._put(self.masker.finish())
        self._trim(self.tail)
        if self.missing:
            words = (
                f"\n[towpath: {self.missing} bytes of output are left out here, {self.limit} stand before]\n"
            )
            self.rest[:0] = words.encode()
            with contextlib.suppress(OSError):
                cut = cut_file(self.path)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(cut)  # the job may have put a FIFO or a link there
                with open(cut, "x") as file:
                    file.write(str(self.missing))
        self._write(self.rest)
        with contextlib.suppress(OSError):
            os.utime(self.file)
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


def cut_file(path: str) -> str:
    """The file beside the output in `path` that holds the number of bytes left out of its middle."""
    return f"{path}.cut"
