"""The tables `[[user]]` and `[[recipe]]`: who may act from a chat, and what they may run there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from domain.actors import is_caller_name
from domain.chat.people import Recipe, User
from domain.identifiers import Name
from domain.validation.durations import seconds
from domain.validation.outside_text import refuse_unstorable
from infra.notices.toml_tables import TomlTable, TomlTables

LONGEST_TIMEOUT_SECONDS = 30 * 86400.0
CLIENT = "towpath_client"


def _caller(name: str) -> str:
    if not is_caller_name(name):
        raise ValueError("a name has 1 to 64 of the characters A-Z a-z 0-9 _ . @ -")
    return name


def _words(text: str) -> str:
    if not text:
        raise ValueError("an empty text is no part of a command")
    return refuse_unstorable(text)


class _User(TomlTable):
    id: Annotated[int, Field(gt=0, lt=2**52)]
    name: Annotated[str, AfterValidator(_caller)]
    role: Literal["viewer", "auditor", "operator", "admin"]


class _Recipe(TomlTable):
    name: Name
    command: Annotated[list[Annotated[str, AfterValidator(_words)]], Field(min_length=1, max_length=200)]
    role: Literal["operator", "admin"] = "operator"
    workspace: Name | None = None
    pool: Name | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    timeout: str | None = None
    arguments: bool = False


@dataclass(frozen=True, slots=True)
class People:
    """Users by their number, and recipes by their name."""

    users: Mapping[int, User] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)


NOBODY = People()


def read_people(tables: TomlTables) -> People:
    """The people of a file; faults are noted in `tables`."""
    users = [_user(tables, where, one) for where, one in tables.entries("user", needed=False)]
    recipes = [_recipe(tables, where, one) for where, one in tables.entries("recipe", needed=False)]
    known, runs = [one for one in users if one], [one for one in recipes if one]
    for what, key, values in (
        ("user", "id", [str(one.id) for one in known]),
        ("user", "name", [one.name for one in known]),
        ("recipe", "name", [one.name for one in runs]),
    ):
        for value, count in Counter(values).items():
            if count > 1:
                tables.fault(f"{what} `{value}`", key, f"{count} of them have this {key}")
    if runs and not users:
        tables.fault("the file", "user", "recipes are run by users: write at least one [[user]]")
    if users and find_spec(CLIENT) is None:
        words = "acting from a chat needs towpath-client: `pip install 'towpath[chat]'`, in a checkout "
        words += "`pip install ./packages/towpath-client '.[chat]'`"
        tables.fault("the file", "user", words)
    return People({one.id: one for one in known}, {one.name: one for one in runs})


def _user(tables: TomlTables, where: str, table: dict[str, Any]) -> User | None:
    read = tables.table(where, _User, table)
    return User(read.id, read.name, read.role) if read is not None else None


def _recipe(tables: TomlTables, where: str, table: dict[str, Any]) -> Recipe | None:
    read = tables.table(where, _Recipe, table)
    if read is None:
        return None
    length = None
    if read.timeout is not None:
        length = tables.value(where, "timeout", _timeout, read.timeout)
    return Recipe(
        read.name,
        tuple(read.command),
        read.role,
        read.workspace,
        read.pool,
        read.title,
        length,
        takes_arguments=read.arguments,
    )


def _timeout(text: str) -> float:
    length = seconds(text, LONGEST_TIMEOUT_SECONDS)
    if length <= 0:
        raise ValueError("a timeout of no length ends everything: leave it out")
    return length
