"""Which ends were asked for: by a cancel, a key in the terminal of `towpath lock`, `on_conflict: reject`.

Such a failure needs no operator.
"""

from __future__ import annotations

import signal

from domain.runners.runner_key import takes_itself
from domain.task.view import TaskRead

_BY_KEY = (-signal.SIGINT, -signal.SIGQUIT)
"""Exit codes of a command that Ctrl-C or Ctrl-\\ ended; SIGTERM and SIGKILL come from programs, too."""
REFUSED = "workspace-locked"


def by_key(exit_code: int | None, runner_id: str | None) -> bool:
    """Whether a person ended the command at its terminal."""
    return exit_code in _BY_KEY and takes_itself(runner_id or "")


def on_request(read: TaskRead) -> bool:
    """Whether the end of the task's current attempt was asked for, also if it has not come yet."""
    return read.cancel_requested or read.reason == REFUSED or by_key(read.exit_code, read.runner_id)
