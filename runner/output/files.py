"""The files with the outputs of attempts: one for each, in the state directory, mode 0600.

A file exists from the start of its job. It is masked when it is written, so readers need no secret. Files of
earlier versions (`*.log`) are not, and are never read.
"""

from __future__ import annotations

import os
from pathlib import Path

from domain.protocol import OUTPUT_TAIL_BYTES
from runner.process.shim_output import cut_file
from runner.store.state import Key

SUFFIX = ".out"


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
            return self.path(key).stat().st_size
        except FileNotFoundError:
            return None

    def cut(self, key: Key) -> int:
        """The bytes that were left out of the middle."""
        try:
            return int(Path(cut_file(str(self.path(key)))).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def read(self, key: Key, offset: int, limit: int) -> bytes:
        """Up to `limit` bytes from `offset`. Raises FileNotFoundError."""
        handle = os.open(self.path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return os.pread(handle, limit, offset)
        finally:
            os.close(handle)

    def tail(self, key: Key) -> str | None:
        """The last 8 KiB as text; None if there are none."""
        size = self.size(key) or 0
        if size == 0:
            return None
        raw = self.read(key, max(0, size - OUTPUT_TAIL_BYTES), OUTPUT_TAIL_BYTES)
        return raw.decode("utf-8", "replace") or None
