"""Tables for terminals: whole texts, shortened ids, blocks where a line is too narrow.

On a terminal, a row that is too long wraps in its wide columns, or its longest text stands below it: what
needs fewer lines. If a column would get less than LEAST, or the terminal is narrow, each row becomes a block
with a line per column. In a file or a pipe, lines are as long as needed and ids are whole.
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
    columns = _saying(rows, columns)
    return sum(_natural(columns, _sizes(rows, columns, short=False), least=True)) + GAP * len(columns)


def listed(rows: Sequence[Json], columns: Sequence[Column], width: int | None) -> Table | Group:
    """A table with a head, or blocks; `width` None: as wide as needed."""
    columns = _saying(rows, columns)
    sizes = _sizes(rows, columns, short=width is not None)
    natural = _natural(columns, sizes)
    if width is None or sum(natural) + GAP * (len(columns) - 1) <= width:
        return _grid(rows, columns, natural, head=True, short=width is not None)
    if width <= NARROW or not any(one.wide for one in columns):
        return _blocks(rows, columns)
    return _wrapped(rows, columns, sizes, natural, width)


def line(row: Json, columns: Sequence[Column], width: int | None) -> Table | Group:
    """One row without a head, aligned with the rows above as far as there is room."""
    from rich.console import Group
    from rich.padding import Padding

    untitled = [replace(one, title="") for one in columns]
    natural = _natural(untitled, _sizes([row], columns, short=width is not None), least=True)
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


def _wrapped(
    rows: Sequence[Json],
    columns: Sequence[Column],
    sizes: Sequence[Sequence[int]],
    natural: Sequence[int],
    width: int,
) -> Table | Group:
    """All columns side by side, or the longest text of a row below the others: what needs fewer lines."""
    longest = max((number for number, one in enumerate(columns) if one.wide), key=natural.__getitem__)
    rest = [number for number in range(len(columns)) if number != longest]
    others = [columns[number] for number in rest]
    room = width - GAP * (len(columns) - 1)
    beside = _fitted(natural, columns, room)
    above = _fitted([natural[number] for number in rest], others, room + GAP)
    if above is None:
        return (
            _blocks(rows, columns) if beside is None else _grid(rows, columns, beside, head=True, short=True)
        )
    lines = _lines([[row[number] for number in rest] for row in sizes], above)
    lines += _lines([[row[longest]] for row in sizes], [width - INDENT])
    if beside is not None and _lines(sizes, beside) < lines:
        return _grid(rows, columns, beside, head=True, short=True)
    return _stacked(rows, others, above, columns[longest])


def _saying(rows: Sequence[Json], columns: Sequence[Column]) -> list[Column]:
    return [one for one in columns if not one.optional or any(one.cell(row) for row in rows)]


def _sizes(rows: Sequence[Json], columns: Sequence[Column], *, short: bool) -> list[list[int]]:
    """The width of each text, row by row."""
    return [[one.text(row, short=short).cell_len for one in columns] for row in rows]


def _natural(columns: Sequence[Column], sizes: Sequence[Sequence[int]], *, least: bool = False) -> list[int]:
    """The width that each column needs so that no text wraps; `least`: at least its `width`."""
    return [
        max([len(one.title), (one.width or 0) if least else 0, *(size[number] for size in sizes)])
        for number, one in enumerate(columns)
    ]


def _lines(sizes: Sequence[Sequence[int]], widths: Sequence[int]) -> int:
    """The lines of a table of these widths, about: words wrap whole."""
    return sum(max(-(-size // width) for size, width in zip(row, widths, strict=True)) for row in sizes)


def _fitted(natural: Sequence[int], columns: Sequence[Column], room: int) -> list[int] | None:
    """Widths within `room`: wide columns share what the others leave; None if that is too little."""
    room -= sum(size for size, one in zip(natural, columns, strict=True) if not one.wide)
    widths = list(natural)
    wide = sorted((number for number, one in enumerate(columns) if one.wide), key=lambda one: natural[one])
    for place, number in enumerate(wide):
        share = room // (len(wide) - place)
        if share < min(natural[number], LEAST):
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


def _stacked(rows: Sequence[Json], columns: Sequence[Column], widths: Sequence[int], below: Column) -> Group:
    """A table whose rows have one text on lines of its own."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[Any] = [
        _grid([], columns, widths, head=True, short=True),
        Padding(Text(below.title, "bold"), (0, 0, 0, INDENT)),
    ]
    for row in rows:
        parts.append(_grid([row], columns, widths, head=False, short=True))
        if text := below.text(row, short=True):
            parts.append(Padding(text, (0, 0, 0, INDENT)))
    return Group(*parts)


def _blocks(rows: Sequence[Json], columns: Sequence[Column]) -> Group:
    from rich.console import Group

    parts: list[Any] = []
    for row in rows:
        parts += ["", sheet(row, columns, short=True)]
    return Group(*parts[1:])
