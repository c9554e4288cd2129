"""Entry point of `towpath`: `towpath lock` goes its own way, as every import delays the command it wraps."""

from __future__ import annotations

import gc
import signal
import sys


def main() -> None:
    """Run the command line; exits the process with one of the documented exit codes."""
    if sys.argv[1:2] == ["lock"]:
        gc.disable()  # what is imported stays, and a collection writes to it, which copies pages after a fork
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback where Ctrl-C comes during an import
        from infra.lock.command import main as lock

        lock(sys.argv[2:])
    from infra.cli.app import main as towpath

    towpath()
