"""Durations as people write them: `30`, `1.5s`, `10m`, `2h`, `7d`."""

from __future__ import annotations

import re

LONGEST_SECONDS = 36_500 * 86400.0
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, longest: float = LONGEST_SECONDS) -> float:
    """Seconds from `30`, `1.5s`, `10m`, `2h` or `7d`, at most `longest`; ValueError otherwise."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if found is None:
        raise ValueError(
            f"{text[:40]!r} is no duration: give seconds, or a number with s, m, h or d, such as 10m"
        )
    length = float(found[1]) * _UNITS[found[2]]
    if length > longest:
        raise ValueError(f"that duration is too long: give at most {duration(longest)}")
    return length


def duration(length: float) -> str:
    """`length` seconds in the format of `seconds`, in the largest unit that is exact."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "m")):
        if length >= size and length % size == 0:
            return f"{length / size:g}{unit}"
    return f"{length:g}s"
