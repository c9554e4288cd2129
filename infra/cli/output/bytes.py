"""Writes the output of tasks to stdout: as it is, or so that it cannot control the terminal."""

from __future__ import annotations

import codecs
import select
import sys

from domain.validation.outside_text import STEERING
from infra.runtime.standard_streams import divert


class OutputWriter:
    """Writes pieces at once. A character that two pieces share is written whole."""

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ends_line = True
        self.written = 0

    def write(self, data: bytes, *, last: bool = False) -> bool:
        """Whether stdout still has a reader."""
        self.written += len(data)
        self._ends_line = data.endswith(b"\n") if data else self._ends_line
        try:
            if self._raw:
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
            else:
                sys.stdout.write(harmless(self._decoder.decode(data, last)))
            sys.stdout.flush()
            if _has_reader():
                return True
        except BrokenPipeError:
            pass
        divert(sys.stdout)
        return False

    def end(self) -> None:
        """Write what is left; on a terminal, end an open line."""
        self.write(b"", last=True)
        if not self._ends_line and sys.stdout.isatty():
            self.write(b"\n")


def _has_reader() -> bool:
    """Whether a pipe still has a reader, also where nothing is to be written to it."""
    state = select.poll()
    try:
        state.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file, as in tests
        return True
    return not any(flags & (select.POLLERR | select.POLLNVAL) for _, flags in state.poll(0))


def harmless(text: str) -> str:
    """`text` with a blank for each character that could control a terminal; line ends and tabs stay."""
    return STEERING.sub(" ", text)
