"""A cgroup (version 2) per job, if the runner may create one: one write kills all its processes.

Membership survives a change of session, environment and parent, and the end of shim and runner. A job can
leave only if it may write into another cgroup: as root, or below a directory delegated to its user. So this
is one mark of several. Standard library only, and little of it: the shim imports it.
"""

from __future__ import annotations

import contextlib
import os
import time

from runner.cleanup.removal import remove_nested

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from pathlib import Path

REMOVE_SECONDS = 2.0


def own_cgroup(proc: str | Path = "/proc/self") -> Path | None:
    """The directory of this process's cgroup; None if this process cannot create cgroups in it."""
    from pathlib import Path

    try:
        path = _unified_path(Path(proc, "cgroup").read_text())
        mount = _unified_mount(Path(proc, "mountinfo").read_text())
    except OSError:
        return None
    if path is None or mount is None or ".." in path.split("/"):
        return None
    directory = Path(mount) / path.lstrip("/")
    usable = os.access(directory, os.W_OK | os.X_OK) and os.access(directory / "cgroup.procs", os.W_OK)
    return directory if usable else None


def _unified_path(text: str) -> str | None:
    return next((line[3:] for line in text.splitlines() if line.startswith("0::")), None)


def _unified_mount(text: str) -> str | None:
    """Mount point of the whole hierarchy; a part of it (in a container) has another root than `/`."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if after.startswith("cgroup2 ") and fields[3] == "/":
            return fields[4]
    return None


def is_of(path: str | None, parent: str, name: str, proc: str | Path = "/proc/self") -> bool:
    """Whether `path` is this user's cgroup that was made for `name` below `parent`.

    Checks a path that was read from a file, before its processes are killed and it is removed.
    """
    if path is None or "\0" in path:
        return False
    from pathlib import Path

    where = Path(path)
    try:
        mount = _unified_mount(Path(proc, "mountinfo").read_text())
        inside = mount is not None and where.is_relative_to(mount) and where.resolve(strict=True) == where
        return inside and where.parts[-2:] == (parent, name) and where.stat().st_uid == os.geteuid()
    except (OSError, RuntimeError, UnicodeError):
        return False


def make(path: str) -> bool:
    """Make the cgroup; False if that is not permitted."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        return False
    return True


def join(path: str) -> None:
    """Move this process into the cgroup, if permitted."""
    with contextlib.suppress(OSError):
        _write(f"{path}/cgroup.procs", "0")


def kill(path: str) -> None:
    """SIGKILL all processes in and below the cgroup (Linux 5.14); does nothing if it is gone."""
    with contextlib.suppress(OSError):
        _write(f"{path}/cgroup.kill", "1")


def occupied(path: str) -> bool:
    """Whether a living process is in or below it."""
    try:
        with open(f"{path}/cgroup.events") as file:
            return "populated 1" in file.read()
    except OSError:
        return False


def remove(path: str, seconds: float = REMOVE_SECONDS) -> None:
    """Remove the cgroup, those below it, and its parent directory if it is then empty.

    A removal that takes longer than a moment is left to the runner's next start.
    """
    _remove_nested(path, time.monotonic() + seconds)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))


def remove_left(parent: Path) -> None:
    """Remove empty cgroups in `parent` of runners that were killed with their guards."""
    until = time.monotonic() + REMOVE_SECONDS
    with contextlib.suppress(OSError):
        for entry in list(parent.iterdir()):
            _remove_nested(str(entry), until)


def _remove_nested(path: str, until: float) -> None:
    with contextlib.suppress(OSError):
        remove_nested(path, lambda: time.monotonic() > until)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)
