"""Numbers with their nouns: `1 task`, `2 tasks`."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 lock`, `2 locks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def mebibytes(size: int) -> str:
    """`0.4 MiB`, `1204 MiB`."""
    found = size / (1 << 20)
    return f"{found:.1f} MiB" if found < 10 else f"{found:.0f} MiB"
