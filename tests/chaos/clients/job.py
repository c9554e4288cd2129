"""What tasks run: a job that writes marks into its workspace, by itself and by what it leaves behind.

`python -I -S job.py MARKS KIND SECONDS`, standard library only. Each mark is one line, written at once in
append mode: `{"mark": "begin" | "tick" | "end", "alive": CLOCK_BOOTTIME, "pid", "task", "attempt", "token"}`.
KIND: `plain`; `stubborn` ignores SIGTERM; `family` leaves a child in a session of its own that ignores
SIGTERM and ticks until it is killed; `fail` ends with code 3.
"""

import json
import os
import signal
import sys
import time

TICK_SECONDS = 0.05
ORPHAN_SECONDS = 60.0


def main() -> int:
    """Begin, tick, end."""
    path, kind, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def mark(what: str) -> None:
        line = {
            "mark": what,
            "alive": time.clock_gettime(time.CLOCK_BOOTTIME),
            "pid": os.getpid(),
            "task": os.environ["TOWPATH_TASK_ID"],
            "attempt": int(os.environ["TOWPATH_ATTEMPT"]),
            "token": int(os.environ["TOWPATH_LOCK_TOKEN"]),
        }
        os.write(handle, json.dumps(line).encode() + b"\n")

    def tick_until(deadline: float) -> None:
        while time.monotonic() < deadline:
            mark("tick")
            time.sleep(TICK_SECONDS)

    mark("begin")
    if kind in ("stubborn", "family"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "family" and os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            tick_until(time.monotonic() + ORPHAN_SECONDS)
        os._exit(0)
    tick_until(time.monotonic() + seconds)
    mark("end")
    return 3 if kind == "fail" else 0


if __name__ == "__main__":
    sys.exit(main())
