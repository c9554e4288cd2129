"""Messages for people, on stderr, so that stdout holds data only."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
from typing import TextIO

from domain.validation.outside_text import STEERING

_STEERING = re.compile(f"[\\t\\n{STEERING.pattern.removeprefix('[')}")


def say(text: str) -> None:
    """Print a message on stderr at once; ignores a full or closed stderr."""
    _write(folded(plain(text, keep="\n\t"), sys.stderr) + "\n")


def folded(text: str, stream: TextIO) -> str:
    """`text` for `stream`: on a terminal, long lines are wrapped between words and indented."""
    with contextlib.suppress(OSError, ValueError):
        if stream.isatty():
            width = max(shutil.get_terminal_size((80, 24)).columns, 20)
            return "\n".join(_fold(line, width) for line in text.split("\n"))
    return text


def _fold(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    import textwrap

    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def say_progress(done: int, total: int, what: str = "") -> None:
    """Show progress (`what`) on one line of a terminal; elsewhere nothing."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        label = f"{what}: " if what else ""
        _write(f"\r{label}{done} of {total} ({done * 100 // max(total, 1)} %){end}")


def say_count(count: int, seq: int) -> None:
    """Show progress without a known total; on a terminal only."""
    if sys.stderr.isatty():
        _write(f"\r{count} events, at sequence {seq}\x1b[K")


def say_done(text: str) -> None:
    """Print the message that ends `say_count`."""
    if sys.stderr.isatty():
        _write(f"\r{plain(text)}\x1b[K\n")
    else:
        say(text)


def plain(text: str, keep: str = "") -> str:
    """`text` with a blank for each control or hidden character other than `keep`.

    Foreign data must not control the terminal, break a table's row, or say what is not drawn.
    """
    return _STEERING.sub(lambda found: found[0] if found[0] in keep else " ", text)
