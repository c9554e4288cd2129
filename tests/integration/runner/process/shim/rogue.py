"""Jobs that turn against the processes that are to end them, in each way that a signal allows."""

from __future__ import annotations

import sys

_ROGUE = """
import ctypes, os, signal, sys, time
mode, marker = sys.argv[1:3]
signal.signal(signal.SIGTERM, signal.SIG_IGN)

def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])

def detach(then):
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    then()
    os._exit(0)

def nameless():
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"
    os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", code, marker], {})

def again(*pids):
    def endlessly():
        while True:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
    return endlessly

def kill_both():
    os.kill(guard, signal.SIGSTOP)
    os.kill(shim, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)

shim = os.getppid()
guard = parent(shim)
detach(nameless)
if mode.startswith("SIG"):
    os.kill(shim, getattr(signal, mode))
elif mode == "restop":
    detach(again(shim))
elif mode == "trace":
    ctypes.CDLL(None).ptrace(16, shim, 0, 0)
elif mode == "stop-both":
    os.kill(guard, signal.SIGSTOP)
    os.kill(shim, signal.SIGSTOP)
elif mode == "restop-both":
    detach(again(guard, shim))
elif mode.startswith("guard-"):
    os.kill(guard, getattr(signal, mode.removeprefix("guard-")))
elif mode == "stop-shim-kill-guard":
    os.kill(shim, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
elif mode == "kill-both":
    detach(kill_both)  # this process dies with its shim
elif mode == "stop-itself":
    os.killpg(0, signal.SIGSTOP)
time.sleep(float(sys.argv[3]))
"""


def rogue_job(mode: str, marker: str, seconds: float = 300) -> list[str]:
    """A command that leaves a daemon with an empty environment, does `mode`, and lives for `seconds`.

    All of it ignores SIGTERM.
    """
    return [sys.executable, "-I", "-S", "-c", _ROGUE, mode, marker, str(seconds)]
