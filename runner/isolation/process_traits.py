"""System calls about the own process (prctl and the like). Standard library only: the shim imports it."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int) -> None:
    """Get this signal when the thread that forked this process ends. A change of user disables it."""
    _prctl(PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    """Become the parent of all orphaned descendants, instead of init."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def hide_memory() -> None:
    """Prevent other processes of the user from reading this one's memory, environment, files, or tracing it.

    It also disables core dumps. Root still may; a program that it executes is not protected.
    """
    _prctl(PR_SET_DUMPABLE, 0)


def forgo_privileges() -> None:
    """Prevent programs executed from now on from gaining privileges, by a set-user-ID bit or otherwise."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def name_process(name: str) -> None:
    """Set what `ps` and `top` call this process; at most 15 characters."""
    LIBC.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def _prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"prctl({option})")
