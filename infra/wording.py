"""How numbers are said, in whatever the product prints."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 lock`, `2 locks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
