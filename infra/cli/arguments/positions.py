"""Positions on the command line: a sequence, a time, a day, or how long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from infra.cli.output.durations import moment


def _moment(text: str) -> str:
    if text.isascii() and text.isdigit():
        return text
    try:
        return moment(text, datetime.now(UTC)).isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is none: give a sequence, {_FORMS}") from None


def _time(text: str) -> datetime:
    try:
        return moment(text, datetime.now(UTC))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no time: give {_FORMS}") from None


_FORMS = (
    "how long ago (30s, 10m, 2h, 7d), a day (today, yesterday, 2026-03-01), or a time such as "
    "2026-03-01T12:00:00Z"
)


def time_option(name: str, help: str) -> Any:
    """An option that takes a time in one of these forms."""
    return typer.Option(name, parser=_time, metavar="WHEN", help=help)


SinceOption = Annotated[
    datetime | None, time_option("--since", "Created since: 10m ago, a day, or RFC 3339.")
]


AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", parser=_moment, metavar="WHEN", help="As it was at a sequence, 10m ago, a day, or RFC 3339."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", parser=_moment, metavar="WHEN", help="Begin at a sequence, 10m ago, a day, RFC 3339."
    ),
]
ToOption = Annotated[
    str | None, typer.Option("--to", parser=_moment, metavar="WHEN", help="End there, in the same words.")
]
