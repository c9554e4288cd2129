"""Tables for terminals: whole texts, shortened ids, blocks where a line is too narrow.

On a terminal, a row that is too long wraps in its wide columns. If one of them would get less than LEAST
columns (the longest: ROOMY), or the terminal is narrow, each row becomes a block with a line per column. In a
file or a pipe, lines are as long as needed and ids are whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.cli.output.stderr import plain
from infra.cli.output.streams import as_written

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

Json = dict[str, Any]
GAP = 2
LEAST = 12
ROOMY = 16
NARROW = 60
INDENT = 4
SHORT_ID = 12
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
    "asked": "magenta",
}


@dataclass(frozen=True)
class Column:
    """One column; `cell` returns its text for a row.

    If the line is too long, `wide` columns wrap. `colored` ones show a status or an event, `task` ones a task
    id. An `optional` column is left out if it is empty. `width` is the least width, for lines that are
    printed one by one.
    """

    title: str
    cell: Callable[[Json], str]
    wide: bool = False
    colored: bool = False
    right: bool = False
    task: bool = False
    optional: bool = False
    width: int | None = None

    def text(self, row: Json, *, short: bool = False) -> Text:
        """The cell of `row` without control characters; `short`: the end of a task id."""
        from rich.text import Text

        cell = as_written(plain(self.cell(row)))
        if short and self.task and len(cell) == 36:  # the subject of a workspace's event is no task id
            cell = cell[-SHORT_ID:]
        style = _STYLES.get(cell.removeprefix("lock ").partition(" ")[0], "") if self.colored else ""
        return Text(cell, style, overflow="fold")


def whole_width(rows: Sequence[Json], columns: Sequence[Column]) -> int:
    """The width of the table if nothing wraps."""
    return sum(_natural(rows, _saying(rows, columns), short=False)) + GAP * len(columns)


def listed(rows: Sequence[Json], columns: Sequence[Column], width: int | None) -> Table | Group:
    """A table with a head, or blocks; `width` None: as wide as needed."""
    columns = _saying(rows, columns)
    natural = _natural(rows, columns, short=width is not None)
    if width is None:
        return _grid(rows, columns, natural, head=True, short=False)
    room = width - GAP * (len(columns) - 1)
    widths = _fitted(natural, columns, room)
    if widths is None or (width <= NARROW and sum(natural) > room):
        return _blocks(rows, columns)
    return _grid(rows, columns, widths, head=True, short=True)


def line(row: Json, columns: Sequence[Column], width: int | None) -> Table | Group:
    """One row without a head, aligned with the rows above as far as there is room."""
    from rich.console import Group
    from rich.padding import Padding

    natural = _natural([row], [replace(one, title="") for one in columns], short=width is not None)
    if width is None:
        return _grid([row], columns, natural, head=False, short=False)
    sized = list(zip(columns, natural, strict=True))
    wide = [one for one in columns if one.wide]
    firm = [(one, size) for one, size in sized if not one.wide]
    share = (width - sum(size for _, size in firm) - GAP * (len(columns) - 1)) // max(len(wide), 1)
    if share >= 2 * LEAST:
        widths = [share if one.wide else size for one, size in sized]
        return _grid([row], columns, widths, head=False, short=True)
    first = _grid([row], [one for one, _ in firm], [size for _, size in firm], head=False, short=True)
    below = (text for one in wide if (text := one.text(row, short=True)))
    return Group(first, *(Padding(text, (0, 0, 0, INDENT)) for text in below))


def sheet(row: Json, columns: Sequence[Column], *, short: bool = False) -> Table:
    """One object: a line for each non-empty column."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for column in columns:
        if text := column.text(row, short=short):
            table.add_row(column.title.lower(), text)
    return table


def _saying(rows: Sequence[Json], columns: Sequence[Column]) -> list[Column]:
    return [one for one in columns if not one.optional or any(one.cell(row) for row in rows)]


def _natural(rows: Sequence[Json], columns: Sequence[Column], *, short: bool) -> list[int]:
    """The width that each column needs so that no text wraps."""
    return [
        max([len(one.title), one.width or 0, *(one.text(row, short=short).cell_len for row in rows)])
        for one in columns
    ]


def _fitted(natural: Sequence[int], columns: Sequence[Column], room: int) -> list[int] | None:
    """Widths within `room`: wide columns share what the others leave; None if that is too little."""
    room -= sum(size for size, one in zip(natural, columns, strict=True) if not one.wide)
    widths = list(natural)
    wide = sorted((number for number, one in enumerate(columns) if one.wide), key=lambda one: natural[one])
    for place, number in enumerate(wide):
        share = room // (len(wide) - place)
        if share < min(natural[number], ROOMY if number == wide[-1] else LEAST):
            return None
        widths[number] = min(natural[number], share)
        room -= widths[number]
    return widths if room >= 0 else None


def _grid(
    rows: Sequence[Json], columns: Sequence[Column], widths: Sequence[int], *, head: bool, short: bool
) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=head, header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        justify: Any = "right" if column.right else "left"
        table.add_column(column.title, width=max(width, 1), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(column.text(row, short=short) for column in columns))
    return table


def _blocks(rows: Sequence[Json], columns: Sequence[Column]) -> Group:
    from rich.console import Group

    parts: list[Any] = []
    for row in rows:
        parts += ["", sheet(row, columns, short=True)]
    return Group(*parts[1:])
