"""The files with the outputs of attempts: one for each, in the state directory, mode 0600.

A file exists from the start of its job. It is masked when it is written, so readers need no secret. Files of
earlier versions (`*.log`) are not, and are never read. A job under the runner's own user can put anything in
their place: only plain files of this user are opened, without following a link or waiting for a FIFO.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.protocol import OUTPUT_TAIL_BYTES
from runner.process.shim.output import cut_file
from runner.store.state import Key

SUFFIX = ".out"
NUMBER_BYTES = 32


class OutputFiles:
    """The outputs in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, key: Key) -> Path:
        """Where the output of an attempt is, if there is one."""
        return self.directory / f"{key.file_stem}{SUFFIX}"

    def size(self, key: Key) -> int | None:
        """The bytes so far; None if there is no output."""
        try:
            found = self.path(key).lstat()
        except FileNotFoundError:
            return None
        return found.st_size if _is_plain(found) else None

    def cut(self, key: Key) -> int:
        """The bytes that were left out of the middle."""
        try:
            with _opened(Path(cut_file(str(self.path(key))))) as handle:
                return max(0, int(os.pread(handle, NUMBER_BYTES, 0)))
        except (FileNotFoundError, ValueError):
            return 0

    def read(self, key: Key, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`. Raises FileNotFoundError."""
        with _opened(self.path(key)) as handle:
            return os.pread(handle, limit, offset)

    def read_into(self, key: Key, offset: int, room: memoryview, *, at_once: bool = False) -> int:
        """Read from `offset` on into `room`; how many bytes. Raises FileNotFoundError.

        `at_once`: only what needs no disk. Raises OSError where that is nothing, or cannot be known.
        """
        with _opened(self.path(key)) as handle:
            return os.preadv(handle, [room], offset, os.RWF_NOWAIT if at_once else 0)

    def tail(self, key: Key) -> str | None:
        """The last 8 KiB as text; None if there are none."""
        size = self.size(key) or 0
        if size == 0:
            return None
        raw = self.read(key, max(0, size - OUTPUT_TAIL_BYTES), OUTPUT_TAIL_BYTES)
        return raw.decode("utf-8", "replace") or None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Raises FileNotFoundError also for what is no plain file of this user."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, or a socket
            raise FileNotFoundError(error.errno, "no plain file", str(path)) from None
        raise
    try:
        if not _is_plain(os.fstat(handle)):
            raise FileNotFoundError(errno.ENOENT, "no plain file", str(path))
        yield handle
    finally:
        os.close(handle)


def _is_plain(found: os.stat_result) -> bool:
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
