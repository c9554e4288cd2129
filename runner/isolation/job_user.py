"""The user that jobs run as, if it differs from the runner's.

A job under the runner's own user can access everything that this user can: the state directory, other jobs,
the runner's credentials. A separate user limits that.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from domain.identifiers import RunnerId
from runner.errors import RunnerConfigError


@dataclass(frozen=True)
class JobUser:
    """A user from /etc/passwd and /etc/group, looked up once."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a login would set."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell or "/bin/sh"}


def find_user(name: str) -> JobUser:
    """The user of that name. Raises RunnerConfigError if jobs cannot run as that user."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError, UnicodeEncodeError):
        raise RunnerConfigError(
            f"--job-user {name!r}: there is no such user on this host; make it, or name another"
        ) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise RunnerConfigError(
            f"--job-user {name}: only a runner that runs as root can run jobs as another user; "
            "start it as root, or leave the option out"
        )
    groups = tuple(os.getgrouplist(name, entry.pw_gid))
    return JobUser(name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir, entry.pw_shell)


def work_directory(user: JobUser | None, kept: Path, runner_id: RunnerId) -> Path:
    """Parent directory for attempts without a workspace: `kept`, if the job's user can access it.

    The state directory is closed to other users; theirs are in the directory for temporary files. Raises
    RunnerConfigError.
    """
    if user is None:
        return kept
    path = Path(tempfile.gettempdir()) / f"towpath-{runner_id}"
    try:
        path.mkdir(exist_ok=True)
        seen = path.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
            raise RunnerConfigError(
                f"{path} belongs to somebody else: remove it, or set TMPDIR for the runner"
            )
        path.chmod(0o711)  # others may pass through it but not list it
    except OSError as error:
        raise RunnerConfigError(f"cannot use {path} for the directories of jobs: {error.strerror}") from None
    return path
