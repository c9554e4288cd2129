"""A job's surroundings: the roots that it may work below, its working directory and its environment.

Roots are compared after resolving symlinks, so that no link below a root leads out of it. A workspace's root
must be a resolved path: the control plane compares roots as text, so two names of one directory would have
two locks. The check here, on intake and before the start, gives early and clear errors, but links may change
after it. The decisive check is the shim's (`job_start.py`), on the descriptor that the job starts in.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from domain.identifiers import RunnerId
from domain.protocol import Submission
from runner.errors import SubmissionRefused
from runner.isolation.job_user import JobUser

INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "TMPDIR",
    "TZ",
)
OF_A_LOCK = ("TOWPATH_WORKSPACE", "TOWPATH_LOCK_TOKEN")
JOB_TOKEN = "TOWPATH_JOB_TOKEN"  # noqa: S105
API_URL = "TOWPATH_URL"


def check_workspace(submission: Submission, roots: Sequence[Path]) -> None:
    """Raise SubmissionRefused unless the workspace lies in one of `roots`, which are real paths."""
    workspace = submission.workspace
    if submission.execution_mode == "shared-workspace" and workspace is None:
        raise SubmissionRefused(
            422, "workspace-missing", "execution_mode shared-workspace needs a `workspace`"
        )
    if workspace is None:
        return
    if "\0" in workspace.root or not Path(workspace.root).is_absolute():
        raise SubmissionRefused(
            422, "workspace-root", f"workspace {workspace.id}: its root must be an absolute path"
        )
    try:
        target = Path(workspace.root).resolve()
        allowed = any(target.is_relative_to(root) for root in roots)
    except (OSError, RuntimeError) as error:  # a cycle of links
        raise SubmissionRefused(422, "workspace-root", f"cannot resolve {workspace.root}: {error}") from None
    if not allowed:
        where = f"{workspace.root} (which is {target})" if str(target) != workspace.root else workspace.root
        raise SubmissionRefused(
            422,
            "workspace-root",
            f"{where} is under none of this runner's roots: start the runner with "
            f"--root {shlex.quote(str(target))}",
        )
    if Path(workspace.root) != target:
        raise SubmissionRefused(
            422,
            "workspace-root",
            f"workspace {workspace.id} is registered at {workspace.root}, which is {target}: register "
            f"{target}, since a second name for a directory would be locked apart from the first",
        )


def working_directory(
    submission: Submission, roots: Sequence[Path], own: Path, user: JobUser | None = None
) -> Path:
    """The directory to start in: the workspace's resolved root, or `own`, which it creates.

    Raises SubmissionRefused where the root is missing.
    """
    check_workspace(submission, roots)
    if submission.workspace is None:
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        if user is not None:
            os.chown(own, user.uid, user.gid, follow_symlinks=False)
        return own
    root = Path(submission.workspace.root).resolve()
    if not root.is_dir():
        raise SubmissionRefused(
            422,
            "workspace-root",
            f"the root of workspace {submission.workspace.id}, {root}, is no directory on this host: make it",
        )
    return root


def within(submission: Submission, own: Path) -> list[str]:
    """The real directories that the start directory must lie in; this excludes other workspaces."""
    return [str(own.resolve()) if submission.workspace is None else submission.workspace.root]


def job_environment(
    submission: Submission,
    runner_id: RunnerId,
    traceparent: str | None = None,
    user: JobUser | None = None,
    api_url: str | None = None,
) -> dict[str, str]:
    """The job's whole environment: a few inherited names, the task's own, and Towpath's variables.

    The runner's own variables (tokens, passwords) are excluded. `TRACEPARENT` gives programs that create
    spans their parent; a task's own value takes precedence, as of `TOWPATH_URL`. The shim adds `PWD`.
    `api_url` is where this runner reaches the API, for a submission that does not say where its job does.
    """
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    if "PATH" in env:
        env["PATH"] = _with_towpath(env["PATH"])
    if user is not None:
        env.update(user.environment)
    env.update(submission.env)
    env["TOWPATH_TASK_ID"] = submission.task_id
    env["TOWPATH_RUNNER_ID"] = runner_id
    env["TOWPATH_ATTEMPT"] = str(submission.attempt)
    for name in (*OF_A_LOCK, JOB_TOKEN):  # a value that the task sets itself is no grant
        env.pop(name, None)
    if submission.workspace is not None:
        env["TOWPATH_WORKSPACE"] = submission.workspace.id
        env["TOWPATH_LOCK_TOKEN"] = str(submission.workspace.lock_token)
    if submission.job_token is not None:
        env[JOB_TOKEN] = submission.job_token
        url = submission.api_url or api_url
        if url is not None:
            env.setdefault(API_URL, url)
    if traceparent is not None:
        env.setdefault("TRACEPARENT", traceparent)
    return env


def _with_towpath(path: str) -> str:
    """`path`, and behind it the directory of this `towpath`, if a job would find none for `towpath ask`."""
    own = Path(sys.executable).with_name("towpath")
    if shutil.which("towpath", path=path) is not None or not own.is_file():
        return path
    return f"{path}{os.pathsep}{own.parent}"
