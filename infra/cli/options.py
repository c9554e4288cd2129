"""Options that several commands share, and how their values are read."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

from infra.cli.times import seconds


class Output(StrEnum):
    """The forms of data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def duration(text: str) -> float:
    """Seconds from `30`, `1.5s`, `10m`, `2h` or `7d`; a usage error otherwise."""
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def pairs(values: Iterable[str], option: str) -> dict[str, str]:
    """`name=value` texts as a mapping; a usage error that names `option` otherwise."""
    found = {}
    for text in values:
        name, sign, value = text.partition("=")
        if not (sign and name):
            raise typer.BadParameter(f"{text!r}: give name=value", param_hint=option)
        found[name] = value
    return found


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the data on stdout.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="Where the API is. [env: TOWPATH_URL]")]
TaskArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Task id; its beginning or end will do if one recent task has it.")
]
