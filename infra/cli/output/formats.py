"""OutputFormat formats of commands: table, JSON, or one JSON object per line, on stdout.

A table is for eyes: relative times, laid out for the terminal (`infra.cli.output.table`), coloured only
there and without NO_COLOR. In a file or a pipe nothing is cut and no line is folded. Programs read the JSON
forms, which show what the API answered.

A reader that has left, as `head` does, changes no exit code: what is still to come is dropped, and what
would go on until Ctrl-C ends.
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
_UNSAFE = re.compile(
    "[\\x7f-\\x9f\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0001\\U000e0020-\\U000e007f]"
)
"""Controls (C1 too), formats such as those for writing directions, separators of lines, lone surrogates."""


def emit(output: OutputFormat, rows: Sequence[Json], columns: Sequence[Column]) -> None:
    """A list: a table with a line per row, one JSON array, or a JSON object per line."""
    if output is OutputFormat.TABLE:
        _show(lambda width: listed(rows, columns, width), whole_width(rows, columns))
    elif output is OutputFormat.JSON:
        print_data(json_text(list(rows), indent=2))
    else:
        for row in rows:
            print_data(json_line(row))


def emit_one(output: OutputFormat, row: Json, columns: Sequence[Column]) -> None:
    """One thing: a line per column that says something, or a JSON object."""
    if output is OutputFormat.TABLE:
        _show(lambda _: sheet(row, columns))
    else:
        print_data(json_text(row, indent=2) if output is OutputFormat.JSON else json_line(row))


def emit_line(output: OutputFormat, row: Json, columns: Sequence[Column]) -> None:
    """One row of a list that does not end: at once, without a head; both JSON forms are a line."""
    if output is OutputFormat.TABLE:
        _show(lambda width: line(row, columns, width), whole_width([row], columns))
    else:
        print_data(json_line(row))
    if not _is_read():
        raise typer.Exit


def say_row(row: Json, columns: Sequence[Column]) -> None:
    """One row for people, on stderr."""
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
    """`value` as JSON that steers no terminal: what a table leaves out is escaped, and line ends other
    than the JSON's own are, so that a line stays one line for every reader.
    """
    return _UNSAFE.sub(_escaped, json.dumps(value, ensure_ascii=False, **form))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def print_data(text: str) -> None:
    """`text` and a newline on stdout; nothing where nothing reads it any more."""
    with _unread_dropped():
        sys.stdout.write(text + "\n")


def _is_read() -> bool:
    """Write what is still to be written; whether stdout has a reader."""
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
    """The columns of the terminal that `stream` writes to; None where it writes to a file or a pipe."""
    if not stream.isatty():
        return None
    return max(shutil.get_terminal_size((WIDTH, 24)).columns, FEWEST)


def console(*, stderr: bool = False) -> Console:
    """A rich console of the right width; it colours on a terminal only."""
    from rich.console import Console

    width = terminal_width(sys.stderr if stderr else sys.stdout) or WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _show(made: Callable[[int | None], RenderableType], whole: int = 1 << 20) -> None:
    """What `made` makes of the width on stdout; in a file it is as wide as `whole`."""
    width = terminal_width(sys.stdout)
    if width is None:
        text = _rendered(made(None), whole)
        if text:
            print_data(text)
    else:
        with _unread_dropped():
            console().print(made(width))


def _rendered(what: RenderableType, width: int) -> str:
    """`what` as text of at most `width` columns, without colours and without blanks at the ends of lines."""
    from rich.console import Console

    file = StringIO()
    plain_console = Console(
        file=file, width=width + WIDTH, highlight=False, markup=False, emoji=False, color_system=None
    )
    plain_console.print(what)
    return "\n".join(one.rstrip() for one in file.getvalue().splitlines())
