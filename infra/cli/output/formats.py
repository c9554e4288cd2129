"""Output formats of commands: table, JSON, or one JSON object per line, on stdout.

A table is for people: relative times, fitted to the terminal (`infra.cli.output.table`), coloured only there
and without NO_COLOR. In a file or a pipe nothing is cut or wrapped. Programs read the JSON forms, which hold
the API's response.

A reader that exits early, such as `head`, changes no exit code: further output is dropped, and an endless
command ends.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

import typer

from domain.validation.outside_text import HIDDEN
from infra.cli.arguments.options import OutputFormat
from infra.cli.output.stderr import say
from infra.cli.output.table import Column as Column
from infra.cli.output.table import Json as Json
from infra.cli.output.table import line, listed, sheet, whole_width
from infra.runtime.standard_streams import divert

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 100
FEWEST = 30


def emit(output: OutputFormat, rows: Sequence[Json], columns: Sequence[Column]) -> None:
    """Print a list: a table with a line per row, one JSON array, or a JSON object per line."""
    if output is OutputFormat.TABLE:
        _show(lambda width: listed(rows, columns, width), whole_width(rows, columns))
    elif output is OutputFormat.JSON:
        print_data(json_text(list(rows), indent=2))
    else:
        for row in rows:
            print_data(json_line(row))


def emit_one(output: OutputFormat, row: Json, columns: Sequence[Column]) -> None:
    """Print one object: a line per non-empty column, or a JSON object."""
    if output is OutputFormat.TABLE:
        _show(lambda _: sheet(row, columns))
    else:
        print_data(json_text(row, indent=2) if output is OutputFormat.JSON else json_line(row))


def emit_line(output: OutputFormat, row: Json, columns: Sequence[Column]) -> None:
    """Print one row of an endless list at once, without a head; both JSON forms print one line."""
    if output is OutputFormat.TABLE:
        _show(lambda width: line(row, columns, width), whole_width([row], columns))
    else:
        print_data(json_line(row))
    if not _is_read():
        raise typer.Exit


def say_row(row: Json, columns: Sequence[Column]) -> None:
    """Print one row for people, on stderr."""
    width = terminal_width(sys.stderr)
    if width is None:
        say(_rendered(line(row, columns, None), whole_width([row], columns)))
    else:
        with contextlib.suppress(OSError, ValueError):
            console(stderr=True).print(line(row, columns, width))


def json_line(row: Json) -> str:
    """`row` as one line of JSON."""
    return json_text(row, separators=(",", ":"))


def json_text(value: Any, **form: Any) -> str:
    """`value` as JSON that cannot control the terminal: it escapes the characters that tables drop, and line
    ends other than JSON's own, so that every reader sees one line.
    """
    return HIDDEN.sub(_escaped, json.dumps(value, ensure_ascii=False, **form))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def print_data(text: str) -> None:
    """Print `text` and a newline on stdout; nothing if stdout has no reader any more."""
    with _unread_dropped():
        sys.stdout.write(text + "\n")


def _is_read() -> bool:
    """Flush stdout; whether it still has a reader."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        divert(sys.stdout)
        return False
    return True


@contextlib.contextmanager
def _unread_dropped() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        divert(sys.stdout)


def terminal_width(stream: TextIO) -> int | None:
    """The columns of the terminal that `stream` writes to; None for a file or a pipe."""
    if not stream.isatty():
        return None
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, FEWEST)


def console(*, stderr: bool = False) -> Console:
    """A rich console of the terminal's width; it colours on a terminal only."""
    from rich.console import Console

    width = terminal_width(sys.stderr if stderr else sys.stdout) or WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _show(made: Callable[[int | None], RenderableType], whole: int = 1 << 20) -> None:
    """Print what `made` returns for the width of stdout; in a file the width is `whole`."""
    width = terminal_width(sys.stdout)
    if width is None:
        text = _rendered(made(None), whole)
        if text:
            print_data(text)
    else:
        with _unread_dropped():
            console().print(made(width))


def _rendered(what: RenderableType, width: int) -> str:
    """`what` as text of at most `width` columns, without colours and trailing blanks."""
    from rich.console import Console

    file = StringIO()
    plain_console = Console(
        file=file, width=width + WIDTH, highlight=False, markup=False, emoji=False, color_system=None
    )
    plain_console.print(what)
    return "\n".join(one.rstrip() for one in file.getvalue().splitlines())
