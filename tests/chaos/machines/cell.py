"""A cell of its own for a run: mount, network and process namespaces that vanish with everything in them.

Outside nothing is changed: no interface, no rule, no mount, no process outlives the cell's first process,
not even after Ctrl-C or `kill -9`, because the kernel ends all of them with it. That first process is this
one: it starts the run, reaps orphans as an init does, and ends with the run's exit code.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

INSIDE = "TOWPATH_CHAOS_CELL"
NEEDED = ("unshare", "nsenter", "mount", "ip", "iptables")
UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


class NoCell(Exception):
    """This machine or user cannot make one; the message says what to do."""


def inside() -> bool:
    """Whether this process already runs in a cell."""
    return os.environ.get(INSIDE) == "1"


def enter(arguments: list[str]) -> None:
    """Become a cell that runs `python -m tests.chaos` with `arguments`. Does not return; raises NoCell."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise NoCell(f"{', '.join(missing)} not found: apt-get install util-linux iproute2 iptables")
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise NoCell(
            f"namespaces cannot be made here ({tried.stderr.strip()}): run it as root, e.g. `sudo make chaos`"
        )
    environment = {**os.environ, INSIDE: "1"}
    program = [sys.executable, "-m", "tests.chaos.machines.cell", *arguments]
    os.execvpe("unshare", [*UNSHARE, "--", *program], environment)


def first_process(arguments: list[str]) -> int:
    """Start the run, reap until it ends, and return its exit code."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    run = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "tests.chaos", *arguments])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(run, signal.SIGTERM))
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal sends it to the run as well
    while True:
        pid, status = os.wait()
        if pid == run:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(first_process(sys.argv[1:]))
