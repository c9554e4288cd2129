"""Guard and shim of the command: forked from this process before the claim, idle until the grant."""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import suppress

from domain.validation import light_json as json

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

_HIGH = 10


class TerminalJob:
    """A job in the caller's process group, with its streams and environment. Create it before any thread."""

    def __init__(self, group: int, ignored: list[int]) -> None:
        """`group`: the process group of the front; `ignored`: signals that the caller ignores."""
        orders, self.orders = os.pipe()
        self.said, say = os.pipe()
        self._group, self._ignored = group, ignored
        self._directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._rest = b""
        self.guard = os.fork()
        if self.guard == 0:
            self._guard(orders, say)
        os.close(orders)
        os.close(say)

    def prepare(self) -> None:
        """Let the guard make its shim, which then waits for `start`."""
        nothing = {"cgroup": None, "user": None, "timeout": None, "lease": None}
        self._send(**nothing, own_signals=False, grace=0.0, runner_pid=os.getpid())

    def start(self, command: list[str], lease: float, notice: float, grace: float, **names: str) -> None:
        """Let it run, with `names` in its environment, until `lease` (CLOCK_BOOTTIME).

        It gets SIGTERM `notice` seconds before that, and SIGKILL then. Call `prepare` before.
        """
        env = {**os.environ, **names}
        self._send(command=command, env=env, lease=lease, notice=notice, grace=grace)

    def _send(self, **order: Any) -> None:
        content = json.dumps(order).encode() + b"\n"
        with suppress(BrokenPipeError):  # the guard was killed: `messages` ends
            while content:
                content = content[os.write(self.orders, content) :]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What guard and shim have said, after `said` has become readable; {} at the end."""
        chunk = os.read(self.said, 65536)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            found: dict[str, Any] = json.loads(line)
            yield found
        if not chunk:
            yield {}

    def give_up(self) -> None:
        """End guard and shim, and a job that they have; returns once they are gone."""
        with suppress(OSError):
            os.close(self.orders)
        with suppress(ChildProcessError):
            os.waitpid(self.guard, 0)

    def _guard(self, orders: int, say: int) -> None:
        code = 1
        try:
            os.close(self.orders)
            os.close(self.said)
            stdio = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _HIGH) for one in (0, 1, 2)]
            os.dup2(orders, 0)
            os.dup2(say, 1)
            os.close(orders)
            os.close(say)
            from runner.process.shim.shim import main_of_terminal

            collect_what_comes()
            terminal = {
                "group": self._group,
                "ignored": self._ignored,
                "stdio": stdio,
                "directory": self._directory,
            }
            main_of_terminal(terminal)
            code = 0
        finally:
            os._exit(code)


def collect_what_comes() -> None:
    """Collect garbage again, of what is made from now on: this process may run for days."""
    gc.freeze()
    gc.enable()


def let_go_of_files() -> None:
    """Close what is the command's alone; standard input and output lead nowhere then."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                os.close(int(name))
