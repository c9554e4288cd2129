"""Private files: data directory 0700, files 0600, independent of the umask, and ignored by git.

The directory holds keys, passwords and commands. A directory that also holds other files (`--data-dir .`)
keeps its mode and gets no `.gitignore`; `towpath doctor` lists what others may read there.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PRIVATE_UMASK = 0o077
OTHERS = 0o077
_OURS = re.compile(
    r"nats|runner|outputs|shims|lost\+found|\.gitignore(\..*)?|installation\.json(\..*)?"
    r"|read-model\.db.*|notices\.db.*|secret-key.*|checkpoint-key.*|\.towpath.*"
    r"|nats-(runner-)?password(\..*)?|nats-server_[0-9]+\.ports|nats-server\.conf(\..*)?|nats\.(lock|log.*|stderr)"
    r"|runner\.(lock|sqlite3.*)"
)
"""Names that Towpath makes in a data directory; a project may have a `runner.py` of its own."""
_JOBS = "work"
"""Directories of jobs in a runner's state directory; their files belong to the jobs."""


def private_directory(path: Path) -> None:
    """Make `path` and its parents if missing, accessible to its owner only. Raises OSError."""
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(0o700)  # a umask may remove even the owner's rights
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(
                errno.ENOTDIR, "it is a file, and must be a directory", str(path)
            ) from None
    if _is_own(path):
        _take_from_others(path)
        ignore = path / ".gitignore"
        if not ignore.exists():
            write_private(ignore, "*\n")


def private_tree(path: Path) -> None:
    """`private_directory`; also closes files that earlier versions left open to others."""
    private_directory(path)
    for one in open_to_others(path):
        if one != path:
            _take_from_others(one)


def open_to_others(path: Path) -> Iterator[Path]:
    """Towpath's files in `path`, itself first, that group or others may read, write or search."""
    if _is_open(path):
        yield path
    with suppress(OSError):
        for one in path.iterdir():
            if _is_towpaths(one.name):
                yield from _open_below(one)


def read_private(path: Path) -> str:
    """The text of a file that its owner alone may read.

    Raises:
        OSError: it cannot be read. ValueError: it is no plain file, is open to others, or is not UTF-8.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path} is no plain file")
        if about.st_mode & OTHERS:
            mode = stat.S_IMODE(about.st_mode)
            raise ValueError(f"others may use {path} (mode {mode:04o}): run `chmod 600` on it")
        try:
            return file.read().decode()
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8 text") from None


def write_private(path: Path, text: str) -> None:
    """Write atomically, with any number of writers at once; others can never read the file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)  # a umask may have removed even the owner's rights
            file.write(text)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def create_private(path: Path, flags: int = os.O_WRONLY | os.O_EXCL) -> int:
    """A descriptor of the new file `path`, with mode 0600 independent of the umask."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # an existing file of another user
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
    return _OURS.fullmatch(name) is not None


def _is_open(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & OTHERS)


def _take_from_others(path: Path) -> None:
    with suppress(OSError):  # removed, or of another user: the doctor reports it
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)
