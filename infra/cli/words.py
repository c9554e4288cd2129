"""Words for people go to stderr, so that stdout holds data and nothing else."""

from __future__ import annotations

import sys
import unicodedata


def say(text: str) -> None:
    """One message on stderr, at once."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_progress(done: int, total: int) -> None:
    """How far something long has come, on one line of a terminal; nothing anywhere else."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{done} of {total} ({done * 100 // max(total, 1)} %){end}")
        sys.stderr.flush()


def say_count(count: int, seq: int) -> None:
    """How far something long has come whose end is not known; on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{count} events, at sequence {seq}\x1b[K")
        sys.stderr.flush()


def say_done(text: str) -> None:
    """The message that ends `say_count`."""
    say(f"\r{text}\x1b[K" if sys.stderr.isatty() else text)


def plain(text: str, keep: str = "") -> str:
    """`text` without control characters other than `keep`: others' data must not steer the terminal."""
    return "".join(
        " " if unicodedata.category(char) in ("Cc", "Cf") and char not in keep else char for char in text
    )
