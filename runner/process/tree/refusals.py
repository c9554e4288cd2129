"""Messages about processes that a shim must end and may not signal, since they have gained privileges.

Such a process ends when it likes. Guard and shim stay until then, so a job never ends with a process left;
but its lease may. Standard library only: the shim imports it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

MOST_NAMED = 8
WENT_ON = "it went on until it ended by itself"


def refusal(refusing: Sequence[tuple[int, str]], why: str) -> dict[str, Any]:
    """The fields of a `refused` message; `why` the job is being ended."""
    more = f" and {len(refusing) - 1} more" if len(refusing) > 1 else ""
    message = f"{_described(refusing[0][0])}{more} cannot be signaled by user {os.geteuid()}"
    return {"processes": list(refusing[:MOST_NAMED]), "message": message, "why": why}


def warning(message: str, why: str) -> str:
    """The line about a refusal, while the process goes on."""
    if why in ("lease", "runner-gone"):
        return f"{message}: it goes on, even after another task has got the lock"
    return f"{message}: it goes on, and its end is waited for"


def _described(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/status", errors="replace") as status:  # noqa: PTH123 - pathlib costs the shim time
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        return f"process {pid} ({facts['Name']}, user {facts['Uid'].split()[1]})"
    except (OSError, LookupError):  # it has just ended
        return f"process {pid}"
