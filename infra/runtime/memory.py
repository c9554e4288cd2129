"""Memory of a process: garbage collector, shared pages, memory given back.

A part is told once, at its start. Nothing here is needed for a right answer, only for a small process.
"""

from __future__ import annotations

import ctypes
import gc
import importlib

COLLECT_AFTER = (50_000, 10, 10)
HELD_BYTES = 128 * 1024
ARENAS = 2
# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def share_imports(*modules: str) -> None:
    """Call before forking parts: what they need is imported once, and stays shared with them.

    A collection writes to every object it looks at, and so makes each part a copy of everything: 40 MB.
    """
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def calm_collector() -> None:
    """Let the garbage collector pass over what was imported, and look at the rest less often.

    Thousands of cached tasks are objects without cycles; walking them all every few hundred allocations
    cost a tenth of the time of a busy API.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def give_back_freed() -> None:
    """Return freed memory to the system from HELD_BYTES on, and let threads share their arenas.

    Left alone, glibc raises both thresholds with the largest batch it has seen, and keeps that much for good.
    Another C library has no `mallopt`; there this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, HELD_BYTES)
        mallopt(M_MMAP_THRESHOLD, HELD_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)
