"""Landlock confinement (Linux 6.12): a job can signal and trace only its own processes.

The kernel rejects every signal from a job to its shim, guard and runner, whatever its user. A filter of
system calls (`syscall_filter`) keeps it from changing their limits and priorities. Standard library only: the
shim imports it.
"""

from __future__ import annotations

import ctypes
import os
import struct

from runner.errors import RunnerConfigError
from runner.isolation import syscall_filter
from runner.isolation.process_traits import LIBC, forgo_privileges

CREATE_RULESET, RESTRICT_SELF = 444, 446  # the same on every architecture
VERSION_FLAG = 1
SCOPE_SIGNAL = 2
ABI_WITH_SCOPES = 6


def check_available() -> None:
    """Raise RunnerConfigError unless this kernel supports it."""
    version = LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    if version < ABI_WITH_SCOPES:
        raise RunnerConfigError(
            "--job-signals own: needs Linux 6.12 with Landlock enabled; leave the option out"
        )
    if not syscall_filter.available():
        raise RunnerConfigError(
            "--job-signals own: needs seccomp, on x86-64 or aarch64; leave the option out"
        )


def confine_signals() -> None:
    """Confine this process and its children. Without root they can no longer use `sudo` and the like.

    Raises OSError.
    """
    nothing_else = struct.pack("QQQ", 0, 0, SCOPE_SIGNAL)  # no rules for files and network
    ruleset = LIBC.syscall(CREATE_RULESET, nothing_else, ctypes.c_size_t(len(nothing_else)), 0)
    if ruleset < 0:
        raise _error("landlock_create_ruleset")
    try:
        if LIBC.syscall(RESTRICT_SELF, ruleset, 0) != 0:  # with CAP_SYS_ADMIN
            forgo_privileges()
            if LIBC.syscall(RESTRICT_SELF, ruleset, 0) != 0:
                raise _error("landlock_restrict_self")
    finally:
        os.close(ruleset)
    syscall_filter.keep_from_others()


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), call)
