"""Data on stdout as a table, as JSON or as one JSON object per line.

A table is for eyes: relative times, cut where the terminal ends (100 columns where there is none), coloured
only on a terminal and without NO_COLOR. Programs read the JSON forms, which show what the API answered.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.cli.options import Output
from infra.cli.words import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Json = dict[str, Any]
WIDTH = 100
_UNSAFE = re.compile(
    "[\\x7f-\\x9f\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ud800-\\udfff\\ufeff\\ufff9-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001343f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0001\\U000e0020-\\U000e007f]"
)
"""Controls (C1 too), formats such as those for writing directions, separators of lines, lone surrogates."""
_STYLES = {
    "created": "dim",
    "dispatched": "yellow",
    "queued": "yellow",
    "waiting": "yellow",
    "running": "cyan",
    "held": "cyan",
    "granted": "cyan",
    "succeeded": "green",
    "alive": "green",
    "ok": "green",
    "warning": "yellow",
    "problem": "red",
    "failed": "red",
    "submit-failed": "red",
    "refused": "red",
    "silent": "red",
    "canceled": "magenta",
    "cancel-requested": "magenta",
    "lock-release-requested": "magenta",
}


@dataclass(frozen=True)
class Column:
    """One column: `cell` makes its text of a row.

    When the line is too long, `wide` ones are cut and `folded` ones go on below. `colored` ones show a status
    or an event. `width` is the least width, for lines that are printed one by one.
    """

    title: str
    cell: Callable[[Json], str]
    wide: bool = False
    folded: bool = False
    colored: bool = False
    right: bool = False
    width: int | None = None

    def text(self, row: Json, *, cut: bool = True) -> Text:
        """The cell of `row`, harmless for a terminal; cut at the column's end or folded."""
        from rich.text import Text

        cell = plain(self.cell(row))
        style = _STYLES.get(cell.removeprefix("lock ").partition(" ")[0], "") if self.colored else ""
        return Text(cell, style, no_wrap=cut, overflow="ellipsis" if cut else "fold")


def emit(output: Output, rows: Sequence[Json], columns: Sequence[Column]) -> None:
    """A list: a table with a line per row, one JSON array, or a JSON object per line."""
    if output is Output.TABLE:
        console().print(_table(rows, columns, head=True))
    elif output is Output.JSON:
        print_data(json_text(list(rows), indent=2))
    else:
        for row in rows:
            print_data(json_line(row))


def emit_one(output: Output, row: Json, columns: Sequence[Column]) -> None:
    """One thing: a line per column that says something, or a JSON object."""
    if output is Output.TABLE:
        console().print(_sheet(row, columns))
    else:
        print_data(json_text(row, indent=2) if output is Output.JSON else json_line(row))


def emit_line(output: Output, row: Json, columns: Sequence[Column]) -> None:
    """One row of a list that does not end: at once, without a head; both JSON forms are a line."""
    if output is Output.TABLE:
        console().print(_table([row], columns, head=False))
    else:
        print_data(json_line(row))
    sys.stdout.flush()


def say_row(row: Json, columns: Sequence[Column]) -> None:
    """One row for people, on stderr."""
    console(stderr=True).print(_table([row], columns, head=False))


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
    """`text` and a newline on stdout."""
    sys.stdout.write(text + "\n")


def console(*, stderr: bool = False) -> Console:
    """A rich console of the right width; it colours on a terminal only."""
    from rich.console import Console

    width = shutil.get_terminal_size((WIDTH, 24)).columns
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def _table(rows: Sequence[Json], columns: Sequence[Column], *, head: bool) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=head, header_style="bold")
    for column in columns:
        table.add_column(
            column.title,
            no_wrap=not (
                column.wide or column.folded
            ),  # rich takes space from columns that may wrap; their texts do not
            justify="right" if column.right else "left",
            min_width=column.width,
        )
    for row in rows:
        table.add_row(*(column.text(row, cut=not column.folded) for column in columns))
    return table


def _sheet(row: Json, columns: Sequence[Column]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for column in columns:
        if text := column.text(row, cut=False):
            table.add_row(column.title.lower(), text)
    return table
