"""What a power cut would leave of a directory: the bookkeeping behind `volatile_files`.

The model is a journaling file system with delayed allocation, at its strictest. The bytes of a file
survive from the last fsync of that file (or write through O_SYNC) on, whatever the time since. Names
(create, rename, remove, mode) are kept in one journal, which any fsync of anything commits: so a file may
be there and be empty, and a rename may have replaced a good file by one whose bytes were never synced.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

COPY_BYTES = 1 << 20


@dataclass
class Unsynced:
    """What of one file is written and not synced: ranges of bytes, and the shortest it has been cut to."""

    ranges: list[tuple[int, int]] = field(default_factory=list)
    cut_to: int | None = None

    def wrote(self, start: int, end: int) -> None:
        """Bytes `start` to `end` were written; neighbours become one range."""
        if self.ranges and self.ranges[-1][0] <= start <= self.ranges[-1][1]:
            start, end = self.ranges[-1][0], max(end, self.ranges.pop()[1])
        self.ranges.append((start, end))

    def truncated(self, size: int) -> None:
        """The file was cut, or made longer, to `size` bytes."""
        self.cut_to = size if self.cut_to is None else min(self.cut_to, size)


@dataclass(frozen=True)
class Name:
    """One entry of the namespace: a file's inode number, or a symbolic link's target, or a directory."""

    mode: int
    inode: int = 0
    target: str = ""


class Surviving:
    """Synced bytes are in files of `directory`, one an inode; names are in memory until `write_to`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._names: dict[str, Name] = {}
        self._links: Counter[int] = Counter()
        self._journal: list[tuple[str, str, Name | None]] = []
        self._unsynced: dict[int, Unsynced] = {}
        directory.mkdir(parents=True, exist_ok=True)

    # ------------------------------------------------------------------ what happens

    def adopt(self, root: Path) -> None:
        """Take all below `root` as synced: what stands on the disk when it is mounted."""
        for path in sorted(root.rglob("*")):
            self.named("/" + str(path.relative_to(root)), path)
            if path.is_file() and not path.is_symlink():
                handle = os.open(path, os.O_RDONLY)
                self.wrote(os.fstat(handle).st_ino, 0, os.fstat(handle).st_size)
                self.synced(handle)
                os.close(handle)
        self.commit()

    def named(self, path: str, real: Path) -> None:
        """`real` was made, or its mode changed, and is known as `path`."""
        state = real.lstat()
        target = str(real.readlink()) if stat.S_ISLNK(state.st_mode) else ""
        self._journal.append(("put", path, Name(state.st_mode, state.st_ino, target)))

    def removed(self, path: str) -> None:
        """`path` is gone."""
        self._journal.append(("remove", path, None))

    def renamed(self, old: str, new: str) -> None:
        """`old`, with everything below it, is `new` now and has replaced what was there."""
        self._journal.append((f"rename {new}", old, None))

    def wrote(self, inode: int, start: int, end: int) -> None:
        """Bytes were written and not synced."""
        self._unsynced.setdefault(inode, Unsynced()).wrote(start, end)

    def truncated(self, inode: int, size: int) -> None:
        """The length was set and not synced."""
        self._unsynced.setdefault(inode, Unsynced()).truncated(size)

    def synced(self, handle: int) -> None:
        """An fsync of an open file: its bytes so far survive, and so does every name."""
        state = os.fstat(handle)
        pending = self._unsynced.pop(state.st_ino, None)
        if pending is not None:
            self._copy(handle, state, pending)
        self.commit()

    def commit(self) -> None:
        """The journal of names reaches the disk."""
        for what, path, name in self._journal:
            if what == "put":
                assert name is not None
                self._put(path, name)
            elif what == "remove":
                self._forget(path)
            else:
                self._move(path, what.partition(" ")[2])
        self._journal.clear()

    # ------------------------------------------------------------------ after the cut

    def write_to(self, root: Path) -> None:
        """Make at `root`, which must not exist, what the cut has left."""
        root.mkdir(parents=True)
        first: dict[int, Path] = {}
        for path, name in sorted(self._names.items()):
            place = root / path.lstrip("/")
            if stat.S_ISDIR(name.mode):
                place.mkdir()
            elif stat.S_ISLNK(name.mode):
                place.symlink_to(name.target)
                continue
            elif name.inode in first:
                place.hardlink_to(first[name.inode])
            else:
                first[name.inode] = place
                kept = self._kept(name.inode)
                place.write_bytes(kept.read_bytes() if kept.exists() else b"")
            place.chmod(stat.S_IMODE(name.mode))

    def _copy(self, handle: int, state: os.stat_result, pending: Unsynced) -> None:
        kept = os.open(self._kept(state.st_ino), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if pending.cut_to is not None:
                os.ftruncate(kept, pending.cut_to)
            for start, end in pending.ranges:
                while start < end and (piece := os.pread(handle, min(end - start, COPY_BYTES), start)):
                    os.pwrite(kept, piece, start)
                    start += len(piece)
            os.ftruncate(kept, state.st_size)
        finally:
            os.close(kept)

    def _put(self, path: str, name: Name) -> None:
        if self._names.get(path, name).inode != name.inode:
            self._forget(path)
        if path not in self._names:
            self._links[name.inode] += 1
        self._names[path] = name

    def _forget(self, path: str) -> None:
        name = self._names.pop(path, None)
        if name is None:
            return
        self._links[name.inode] -= 1
        if not self._links[name.inode]:
            del self._links[name.inode]
            self._kept(name.inode).unlink(missing_ok=True)

    def _move(self, old: str, new: str) -> None:
        name = self._names.get(old)
        if name is None:
            return
        self._forget(new)
        below = (
            [path for path in self._names if path.startswith(old + "/")] if stat.S_ISDIR(name.mode) else []
        )
        for path in (old, *below):
            self._names[new + path[len(old) :]] = self._names.pop(path)

    def _kept(self, inode: int) -> Path:
        return self._directory / str(inode)
