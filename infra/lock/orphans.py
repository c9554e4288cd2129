"""Ends what a killed guard and shim leave: this process adopts it, being a subreaper."""

from __future__ import annotations

import os
import signal
import time

SWEEP_SECONDS = 0.01


def has_children() -> bool:
    """Whether this process has any child, dead or alive."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def sweep() -> None:
    """Kill everything below this process, until nothing is left of it."""
    from infra.lock.stderr import tell
    from runner.process.tree.process_tree import signal_below
    from runner.process.tree.refusals import refusal, warning

    told = False
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        refusing = signal_below((signal.SIGKILL,))
        if refusing and not told:
            told = True
            tell(warning(refusal(refusing, "shim-lost")["message"], "shim-lost"))
        time.sleep(SWEEP_SECONDS)
