"""Private files: the data directory is 0700, its files 0600, whatever the umask, and git ignores it.

It holds keys, passwords and commands. A directory that holds other things than Towpath's (`--data-dir .`)
keeps its mode and gets no `.gitignore`: `towpath doctor` names what others may read there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PRIVATE_UMASK = 0o077
OTHERS = 0o077
_NAMES = (
    "nats",
    "runner",
    "outputs",
    "shims",
    "read-model.db",
    "secret-key",
    "checkpoint-key",
    ".gitignore",
    "lost+found",
)
_PREFIXES = ("nats-", "nats.", "runner.", "read-model.db", "secret-key", "checkpoint-key", ".towpath")
_JOBS = "work"
"""Below a runner's state: directories of jobs, whose files are their own."""


def private_directory(path: Path) -> None:
    """Make `path` with its parents if need be, and its owner's alone. OSError where that cannot be done."""
    if not path.is_dir():
        if path.exists():
            raise NotADirectoryError(errno.ENOTDIR, "it is a file, and must be a directory", str(path))
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)  # a umask may take even the owner's rights away
    if _is_own(path):
        _take_from_others(path)
        ignore = path / ".gitignore"
        if not ignore.exists():
            write_private(ignore, "*\n")


def private_tree(path: Path) -> None:
    """`private_directory`, and what earlier versions left open in it is taken from others."""
    private_directory(path)
    for one in open_to_others(path):
        if one != path:
            _take_from_others(one)


def open_to_others(path: Path) -> Iterator[Path]:
    """What of Towpath's below `path` group or others may read, write or search, `path` itself first."""
    if _is_open(path):
        yield path
    with suppress(OSError):
        for one in path.iterdir():
            if _is_towpaths(one.name):
                yield from _open_below(one)


def write_private(path: Path, text: str) -> None:
    """Write atomically, never readable by others, not even for a moment."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(create_private(draft), "w") as file:
        file.write(text)
    draft.replace(path)


def create_private(path: Path, flags: int = os.O_WRONLY | os.O_EXCL) -> int:
    """A descriptor of the new file `path`, of mode 0600 whatever the umask."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # somebody else's, which was there before
        os.fchmod(descriptor, 0o600)
    return descriptor


def _open_below(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        return
    if _is_open(path):
        yield path
    if path.is_dir() and path.name != _JOBS:
        with suppress(OSError):
            for one in path.iterdir():
                yield from _open_below(one)


def _is_own(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid() and all(_is_towpaths(one.name) for one in path.iterdir())


def _is_towpaths(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES)


def _is_open(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & OTHERS)


def _take_from_others(path: Path) -> None:
    with suppress(OSError):  # gone, or somebody else's: the doctor names it
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)
