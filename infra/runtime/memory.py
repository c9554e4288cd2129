"""Reduces a process's memory: garbage collector, pages shared after a fork, freed memory returned.

Each function is called once, at start. Correctness does not depend on any of them.
"""

from __future__ import annotations

import ctypes
import gc
import importlib

COLLECT_AFTER = (50_000, 10, 10)
HELD_BYTES = 4 << 20
"""More than a range of output: buffers that the system has to hand out anew cost more than their content."""
ARENAS = 2
# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def share_imports(*modules: str) -> None:
    """Import `modules` and freeze them before forking, so that children share their pages.

    A garbage collection writes to every object that it visits; each child would copy them all: 40 MB.
    """
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def calm_collector() -> None:
    """Exclude imported objects from garbage collection, and collect the others less often.

    Thousands of cached tasks are objects without cycles; visiting them every few hundred allocations cost a
    tenth of a busy API's time.
    """
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def give_back_freed() -> None:
    """Return freed memory to the system from HELD_BYTES on, and let threads share their arenas.

    By default glibc raises both thresholds to the largest allocation seen, and then never returns that much.
    Does nothing with a C library that has no `mallopt`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, HELD_BYTES)
        mallopt(M_MMAP_THRESHOLD, HELD_BYTES)
        mallopt(M_ARENA_MAX, ARENAS)
