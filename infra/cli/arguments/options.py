"""Options that several commands share, and how their values are parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container, Iterable
from enum import StrEnum
from typing import Annotated

import typer

from domain.validation.durations import seconds
from infra.cli.output.durations import LONGEST_WAIT_SECONDS
from infra.errors.validator_messages import did_you_mean


class OutputFormat(StrEnum):
    """The formats of data on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def duration(text: str) -> float:
    """Seconds from `30`, `1.5s`, `10m`, `2h` or `7d`; a usage error otherwise."""
    try:
        return seconds(text, LONGEST_WAIT_SECONDS)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def pairs(values: Iterable[str], option: str) -> dict[str, str]:
    """`name=value` texts as a mapping; a usage error otherwise, without the text, which may be a secret."""
    found = {}
    for number, text in enumerate(values, start=1):
        name, sign, value = text.partition("=")
        if not (sign and name):
            which = f"number {number} of them" if number > 1 else "it"
            raise typer.BadParameter(f"{which} is not of the form NAME=VALUE", param_hint=option)
        found[name] = value
    return found


def labels(values: Iterable[str], option: str) -> dict[str, str]:
    """`name=value` texts as labels; a usage error for a name that is not valid for a label."""
    found = pairs(values, option)
    for name in found:
        if ":" in name:
            raise typer.BadParameter(f"{name!r}: a label's name cannot hold `:`", param_hint=option)
    return found


def secrets(values: Iterable[str], taken: Container[str]) -> dict[str, str]:
    """`NAME=VALUE`, or `NAME` alone for the value of that environment variable, as a mapping.

    A usage error otherwise, also for a name in `taken`. The error never shows the given text, which may be
    the secret itself.
    """
    found: dict[str, str] = {}
    for number, text in enumerate(values, start=1):
        name, sign, value = text.partition("=")
        problem = None
        if not re.fullmatch(ENV_NAME, name):
            problem = "give NAME=VALUE, or the NAME of a variable that is set here"
        elif not sign and name not in os.environ:
            problem = "no environment variable has this name: set it, or give NAME=VALUE"
        elif name in taken or name in found:
            problem = "its name was given before, here or in --env: leave it in one of them"
        if problem:
            raise typer.BadParameter(f"number {number}: {problem}", param_hint="--secret")
        found[name] = value if sign else os.environ[name]
    return found


def one_of(value: str, known: Collection[str], option: str) -> str:
    """`value` if it is one of `known`; a usage error that lists them otherwise."""
    if value in known:
        return value
    raise typer.BadParameter(
        f"{value!r} is not one of {', '.join(known)}{did_you_mean(value, known)}", param_hint=option
    )


def status_name(value: str) -> str:
    """The status that `value` names; a usage error otherwise."""
    from domain.task.transitions import Status

    return one_of(value, [one.value for one in Status], "--status")


def retry_reasons(values: Iterable[str]) -> list[str]:
    """The reasons for a retry that `values` name; a usage error otherwise."""
    from typing import get_args

    from domain.log.events import RetryReason

    return [one_of(one, get_args(RetryReason), "--retry-on") for one in values]


def event_name(value: str | None) -> str | None:
    """The event that `value` names, also in the form of tables (`lock granted`); a usage error otherwise."""
    if value is None:
        return None
    from domain.log.events import EVENTS

    shown = {name if kind == "task" else f"{kind} {name}": name for kind, name in EVENTS}
    dashed = {name.replace(" ", "-"): meant for name, meant in shown.items()}
    names = {**dashed, **shown, **{name: name for name in shown.values()}}
    if value in names:
        return names[value]
    return one_of(value, list(dict.fromkeys(shown.values())), "--event")


ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
OutputOption = Annotated[OutputFormat, typer.Option("--output", "-o", help="Form of the data on stdout.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="Where the API is. [env: TOWPATH_URL]")]
TaskArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Task id; its beginning or end will do if one recent task has it.")
]
