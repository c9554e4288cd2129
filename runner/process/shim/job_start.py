"""Starts a job's first process from a shim: directory, user, cgroup, exec; and explains a failure.

The directory is opened once and checked through its descriptor. The job starts in that descriptor, so a path
renamed in between changes nothing. Standard library only: the shim imports it.
"""

from __future__ import annotations

import errno
import os
import signal

from domain.validation import light_json as json
from runner.clock import boottime
from runner.isolation import cgroup, confinement
from runner.isolation.process_traits import die_with_parent

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any, NoReturn

RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, and an ignored signal survives exec

MAX_SHOWN_CHARS = 200
_FOR_A_SHELL = "|&;<>()$`*?~"


class JobStartFailed(Exception):
    """The job could not be started; the message explains it to the reader of the task."""


def open_directory(path: str, within: list[str] | None) -> tuple[int, str]:
    """A descriptor of the directory, and its real path, which lies in one of `within` (None: anywhere).

    Raises JobStartFailed.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise JobStartFailed(f"cannot start in directory {path!r}: {why}") from None
    real = os.readlink(f"/proc/self/fd/{handle}")
    if os.fstat(handle).st_nlink == 0:
        why = "it was removed"
    elif within is not None and not any(os.path.commonpath([real, root]) == root for root in within):
        why = f"it leads to {real!r}, which is under none of this runner's roots"
    else:
        return handle, real
    os.close(handle)
    raise JobStartFailed(f"cannot start in directory {path!r}: {why}")


def start(job: dict[str, Any], stdio: tuple[int, int, int], lease: float | None) -> int:
    """Fork and exec; returns the job's pid once it runs. Raises JobStartFailed, TimeoutError (no lease).

    `stdio`: what its standard input, output and error are.
    """
    if any("\0" in word for word in job["command"]):
        raise JobStartFailed(f"cannot start {shown(job['command'][0])}: embedded null byte")
    terminal = job.get("terminal")
    if terminal is not None:
        directory, real = os.dup(terminal["directory"]), ""
    else:
        directory, real = open_directory(job["cwd"], job["within"])
    said, say = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_job({**job, "cwd": real}, directory, stdio, say, parent, lease)
    os.close(say)
    os.close(directory)
    with os.fdopen(said, "rb", buffering=0) as reader:
        trouble = reader.readall()  # exec closes the other end
    if not trouble:
        return pid
    os.waitpid(pid, 0)
    if trouble == b"lease":
        raise TimeoutError
    raise JobStartFailed(explain(job, real, *json.loads(trouble)))


def _become_job(
    job: dict[str, Any],
    directory: int,
    stdio: tuple[int, int, int],
    say: int,
    parent: int,
    lease: float | None,
) -> NoReturn:
    stage = "process"
    try:
        signal.set_wakeup_fd(-1)
        terminal = job.get("terminal")
        if terminal is None:
            os.setsid()
        else:
            os.setpgid(0, terminal["group"])
        for standard, handle in enumerate(stdio):
            os.dup2(handle, standard)
        for restored in RESTORED:
            signal.signal(restored, signal.SIG_DFL)
        if terminal is not None:
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        for ignored in terminal["ignored"] if terminal is not None else ():
            signal.signal(ignored, signal.SIG_IGN)
        if job["cgroup"] is not None:
            cgroup.join(job["cgroup"])
        stage = "signals"
        if job["own_signals"]:
            confinement.confine_signals()  # before the user changes: root keeps what sudo needs
        stage = "user"
        if job["user"] is not None:
            _change_user(job["user"])
        stage = "directory"
        os.fchdir(directory)
        if job["user"] is not None:
            os.stat(job["cwd"])  # also by its name: a program that cannot resolve it could not work
        stage = "program"
        die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        if lease is not None and boottime() >= lease:  # the last check of the lease
            os.write(say, b"lease")
            os._exit(1)
        if terminal is not None:  # our own descriptors close at exec; those that our caller gave stay
            os.execvpe(job["command"][0], job["command"], job["env"])
        close_others(say)
        os.execvpe(job["command"][0], job["command"], {**job["env"], "PWD": job["cwd"]})
    except BaseException as error:
        number = error.errno if isinstance(error, OSError) else None
        os.write(say, json.dumps([stage, number, str(error)]).encode())
    finally:
        os._exit(127)


def inherited(terminal: dict[str, Any] | None) -> set[int]:
    """Open files that the caller of a job of a terminal has given it, besides its standard streams."""
    if terminal is None:
        return set()
    handles = [int(name) for name in os.listdir("/proc/self/fd")]
    return {one for one in handles if one > 2 and _is_inherited(one)}


def _is_inherited(handle: int) -> bool:
    try:
        return os.get_inheritable(handle)
    except OSError:  # the directory's own, closed by now
        return False


def let_go(terminal: dict[str, Any] | None) -> None:
    """Close what is the job's alone, so that a reader sees its end when the job closes it."""
    if terminal is not None:
        for handle in {*terminal["stdio"], *inherited(terminal)}:
            os.close(handle)


def close_others(kept: int | None = None) -> None:
    """Close every descriptor except the standard ones and `kept`.

    A job can write to every open descriptor, such as the pipe on which the runner learns how it ended.
    """
    end = os.sysconf("SC_OPEN_MAX")
    if kept is None:
        os.closerange(3, end)
        return
    os.closerange(3, kept)
    os.closerange(kept + 1, end)


def _change_user(user: dict[str, Any]) -> None:
    if os.geteuid() == user["uid"]:
        return  # no change needed
    os.setgroups(user["groups"])
    os.setresgid(user["gid"], user["gid"], user["gid"])
    os.setresuid(user["uid"], user["uid"], user["uid"])


def explain(job: dict[str, Any], directory: str, stage: str, number: int | None, words: str) -> str:
    """The message for a job that could not be started."""
    program = job["command"][0]
    why = os.strerror(number) if number is not None else words
    user = job["user"]["name"] if job["user"] is not None else None
    if stage == "signals":
        return f"cannot confine its signals: {why}"
    if stage == "user":
        return f"cannot become user {user!r}: {why}"
    if stage == "directory" and user is not None:
        return f"cannot start in directory {directory!r} as user {user!r}: {why}; give that user access to it"
    if stage == "directory":
        return f"cannot start in directory {directory!r}: {why}"
    if number == errno.ENOENT:
        why = "no such file or interpreter" if "/" in program else "no such program on PATH"
        if len(job["command"]) == 1 and any(sign.isspace() or sign in _FOR_A_SHELL for sign in program):
            why += "; a command runs without a shell, use: sh -c '…'"
    return f"cannot start {shown(program)}: {why}"


def shown(program: str) -> str:
    """A program's name in quotes, shortened: the lines from shim to runner have a maximum length."""
    return repr(program if len(program) <= MAX_SHOWN_CHARS else f"{program[:MAX_SHOWN_CHARS]}…")
