"""Removes everything that jobs created: deep, wide, closed or oddly named.

It does not recurse, build long paths or follow links. A nested directory is first moved up into the directory
to be emptied, so two descriptors suffice for every depth. A mounted file system cannot be moved and so is
never entered. Standard library only: the shim imports it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection, Iterator

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from pathlib import Path

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
GLANCE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
AT_ONCE = 1000
MOST_STUCK = 1000

_names = iter(range(10**18))


def new_name() -> str:
    """A name that no other entry of a trash directory has."""
    return f"{os.getpid()}-{time.time_ns()}-{next(_names)}"


class Emptying:
    """Removes everything in the directory `top`, a descriptor, until `stop()` is true.

    Afterwards `stuck` holds entries that could not be removed, with reasons; not necessarily all.
    """

    def __init__(self, top: int, stop: Callable[[], bool]) -> None:
        self._top = top
        self._stop = stop
        self.stuck: dict[str, str] = {}

    def run(self) -> bool:
        """Whether everything was removed except `stuck`."""
        while len(self.stuck) < MOST_STUCK:
            names = [name for name, _ in _some(self._top, self.stuck)]
            if not names:
                return True
            for name in names:
                if self._stop():
                    return False
                self._remove(name)
        return False

    def _remove(self, name: str) -> None:
        try:
            seen = os.stat(name, dir_fd=self._top, follow_symlinks=False)
            if stat.S_ISDIR(seen.st_mode):
                self._remove_directory(name)
            else:
                os.unlink(name, dir_fd=self._top)
        except FileNotFoundError:
            return
        except OSError as error:
            self.stuck[name] = f"{name!a}: {error.strerror}"

    def _remove_directory(self, name: str) -> None:
        handle = _open_directory(name, self._top)
        stuck: dict[str, OSError] = {}
        try:
            while (entries := _some(handle, stuck)) and len(stuck) < MOST_STUCK:
                for entry, directory in entries:
                    if self._stop():
                        return
                    try:
                        self._take_out(handle, entry, directory)
                    except OSError as error:
                        stuck[entry] = error
        finally:
            os.close(handle)
        for entry, why in stuck.items():
            self.stuck[name] = f"{name!a}/{entry!a}: {why.strerror}"
            return
        os.rmdir(name, dir_fd=self._top)

    def _take_out(self, parent: int, entry: str, directory: bool) -> None:
        if not directory:
            os.unlink(entry, dir_fd=parent)
            return
        try:
            os.rename(entry, new := new_name(), src_dir_fd=parent, dst_dir_fd=self._top)
        except PermissionError:  # moving it writes its entry `..`, which needs write permission
            make_writable(entry, parent)
            os.rename(entry, new, src_dir_fd=parent, dst_dir_fd=self._top)


def remove_nested(top: str, stop: Callable[[], bool]) -> None:
    """Remove the directory `top` and the directories in it, as far as possible.

    For cgroups: they cannot be moved, hold no files to remove, and their `..` cannot change.
    """
    handle = os.open(top, FLAGS)
    path = [(top, _directories(handle))]
    try:
        while path and not stop():
            below = next(path[-1][1], None)
            if below is not None:
                inner = os.open(below, FLAGS, dir_fd=handle)
                os.close(handle)
                handle = inner
                path.append((below, _directories(handle)))
                continue
            name, _ = path.pop()
            outer = os.open("..", FLAGS, dir_fd=handle)
            os.close(handle)
            handle = outer
            _try_rmdir(name if path else os.path.basename(name.rstrip("/")), handle)
    finally:
        os.close(handle)


def discard(path: Path) -> str | None:
    """Remove the file `path` if it exists; returns the reason if that fails (such as a directory)."""
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return f"{str(path)!a}: {error}"
    return None


def _some(handle: int, known: Collection[str]) -> list[tuple[str, bool]]:
    """Some entries of a directory that are not in `known`, each with whether it is a directory."""
    again = os.open(".", FLAGS, dir_fd=handle)  # with a read position of its own
    try:
        found = []
        with os.scandir(again) as entries:
            for entry in entries:
                if entry.name not in known:
                    found.append((entry.name, entry.is_dir(follow_symlinks=False)))
                if len(found) == AT_ONCE:
                    break
        return found
    finally:
        os.close(again)


def _directories(handle: int) -> Iterator[str]:
    with os.scandir(handle) as entries:
        return iter([entry.name for entry in entries if entry.is_dir(follow_symlinks=False)])


def _open_directory(name: str, parent: int) -> int:
    try:
        handle = os.open(name, FLAGS, dir_fd=parent)
    except PermissionError:
        make_writable(name, parent)
        handle = os.open(name, FLAGS, dir_fd=parent)
    if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(handle, stat.S_IRWXU)
    return handle


def make_writable(name: str, parent: int | None = None) -> None:
    """Give the owner access to an own directory that is closed to it. Raises OSError."""
    handle = os.open(name, GLANCE, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
    finally:
        os.close(handle)


def _try_rmdir(name: str, parent: int) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:  # not empty
        return
