"""Points of the log on the command line: a sequence, a time, or how long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from infra.cli.times import moment


def _moment(text: str) -> str:
    if text.isascii() and text.isdigit():
        return text
    try:
        return moment(text, datetime.now(UTC)).isoformat()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is none: give a sequence, how long ago (30s, 10m, 2h, 7d), or a time such as "
            "2026-03-01T12:00:00Z"
        ) from None


AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", parser=_moment, metavar="WHEN", help="As it was at a sequence, 10m ago, or RFC 3339."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", parser=_moment, metavar="WHEN", help="Begin at a sequence, 10m ago, or RFC 3339."),
]
ToOption = Annotated[
    str | None, typer.Option("--to", parser=_moment, metavar="WHEN", help="End there, in the same words.")
]
