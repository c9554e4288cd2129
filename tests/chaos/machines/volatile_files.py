"""A file system that forgets at a power cut whatever was not synced.

`python -m tests.chaos.machines.volatile_files` mounts it:

    volatile_files LIVE SURVIVING MOUNTPOINT

Everything is done to the directory LIVE at once, as a page cache shows it, and `surviving` keeps what a
cut would leave. When it is unmounted, LIVE becomes that: unmounting is the cut. One thread serves it, so
that the order of operations is the order of the bookkeeping. Needs /dev/fuse, libfuse and root.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.chaos.machines.surviving import Surviving

ATTRIBUTES = (
    "st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize",
)  # fmt: skip
TIMES = ("st_atime", "st_mtime", "st_ctime")
FIGURES = (
    "f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize",
    "f_favail", "f_ffree", "f_files", "f_flag", "f_namemax",
)  # fmt: skip


class VolatileFiles:
    """The operations, by path and open file."""

    use_ns = True

    def __init__(self, live: Path, surviving: Path) -> None:
        self._live, self._kept = live, surviving
        self._surviving = Surviving(surviving)
        self._surviving.adopt(live)
        self._through: set[int] = set()

    def _real(self, path: str) -> Path:
        return self._live / path.lstrip("/")

    # ------------------------------------------------------------------ bytes

    def open(self, path: str, flags: int) -> int:
        handle = os.open(self._real(path), flags & ~os.O_NOFOLLOW & ~os.O_APPEND)
        if flags & os.O_TRUNC:
            self._surviving.truncated(os.fstat(handle).st_ino, 0)
        if flags & (os.O_SYNC | os.O_DSYNC):
            self._through.add(handle)
        return handle

    def create(self, path: str, mode: int, fi: Any = os.O_RDWR) -> int:
        flags = int(fi) & (os.O_SYNC | os.O_DSYNC | os.O_EXCL)
        handle = os.open(self._real(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC | flags, mode)
        self._surviving.named(path, self._real(path))
        self._surviving.truncated(os.fstat(handle).st_ino, 0)
        if flags & (os.O_SYNC | os.O_DSYNC):
            self._through.add(handle)
        return handle

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        done = os.pwrite(fh, data, offset)
        self._surviving.wrote(os.fstat(fh).st_ino, offset, offset + done)
        if fh in self._through:
            self._surviving.synced(fh)
        return done

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        handle = os.open(self._real(path), os.O_RDWR) if fh is None else fh
        try:
            os.ftruncate(handle, length)
            self._surviving.truncated(os.fstat(handle).st_ino, length)
        finally:
            if fh is None:
                os.close(handle)
        return 0

    def fallocate(self, path: str, mode: int, offset: int, size: int, fh: int) -> int:
        if mode != 0:
            raise OSError(errno.EOPNOTSUPP, "only plain allocation")
        os.posix_fallocate(fh, offset, size)
        self._surviving.wrote(os.fstat(fh).st_ino, offset, offset + size)
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._surviving.synced(fh)
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._surviving.commit()
        return 0

    def release(self, path: str, fh: int) -> int:
        self._through.discard(fh)
        os.close(fh)
        return 0

    # ------------------------------------------------------------------ names

    def mkdir(self, path: str, mode: int) -> int:
        self._real(path).mkdir(mode)
        self._surviving.named(path, self._real(path))
        return 0

    def symlink(self, target: str, source: str) -> int:
        self._real(target).symlink_to(source)
        self._surviving.named(target, self._real(target))
        return 0

    def link(self, target: str, source: str) -> int:
        self._real(target).hardlink_to(self._real(source))
        self._surviving.named(target, self._real(target))
        return 0

    def unlink(self, path: str) -> int:
        self._real(path).unlink()
        self._surviving.removed(path)
        return 0

    def rmdir(self, path: str) -> int:
        self._real(path).rmdir()
        self._surviving.removed(path)
        return 0

    def rename(self, old: str, new: str) -> int:
        self._real(old).rename(self._real(new))
        self._surviving.renamed(old, new)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._real(path).chmod(mode)
        self._surviving.named(path, self._real(path))
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        os.chown(self._real(path), uid, gid, follow_symlinks=False)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._real(path), ns=times)
        return 0

    # ------------------------------------------------------------------ looking

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        state = self._real(path).lstat() if fh is None else os.fstat(fh)
        found = {name: getattr(state, name) for name in ATTRIBUTES}
        return found | {name: getattr(state, f"{name}_ns") for name in TIMES}

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        with os.scandir(self._real(path)) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        here = self._real(path).stat()
        both = [(".", here), ("..", here), *found]
        # without an inode number the C library passes an entry over
        return [(name, {"st_ino": state.st_ino, "st_mode": state.st_mode}, 0) for name, state in both]

    def readlink(self, path: str) -> str:
        return str(self._real(path).readlink())

    def statfs(self, path: str) -> dict[str, int]:
        figures = os.statvfs(self._live)
        return {name: getattr(figures, name) for name in FIGURES}

    # ------------------------------------------------------------------ the cut

    def destroy(self, path: str) -> None:
        """Make LIVE what has survived."""
        left = self._kept.with_name(self._kept.name + ".left")
        self._surviving.write_to(left)
        _empty(self._live)
        for entry in left.iterdir():
            shutil.move(entry, self._live / entry.name)
        left.rmdir()
        shutil.rmtree(self._kept)


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def main() -> None:
    """Serve until it is unmounted."""
    from mfusepy import FUSE

    live, surviving, mountpoint = (Path(argument) for argument in sys.argv[1:])
    FUSE(
        VolatileFiles(live, surviving), str(mountpoint), foreground=True, nothreads=True, use_ino=True,
        allow_other=True, default_permissions=True, fsname="volatile",
    )  # fmt: skip


if __name__ == "__main__":
    main()
