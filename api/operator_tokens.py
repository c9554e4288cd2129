"""Operator tokens as people write them: `role[=name][+behalf]:token`, in a variable or on lines of a file.

An error names the position of an entry and never shows a token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from api.config import ApiConfigError, OperatorToken, Role, digest_of
from domain.actors import caller_name_problem
from domain.validation.token_rules import token_problem

VARIABLE = "TOWPATH_API_TOKENS"
FILE_VARIABLE = "TOWPATH_API_TOKENS_FILE"
_HEAD = re.compile(r"(?P<role>[^=+]*)(?:=(?P<name>[^+]*))?(?P<behalf>\+behalf)?")
_FORM = "write role[=name][+behalf]:token with the roles viewer, auditor, operator, admin"
_Entry = tuple[str, str]
"""Where it stands, and its text."""


def parse_operator_tokens(text: str = "", lines: str = "") -> tuple[OperatorToken, ...]:
    """The tokens of `text` (separated by commas) and of `lines` (one on each, `#` begins a comment line).

    A token may hold colons but no comma. Empty text means none.

    Raises:
        ApiConfigError: a role, name or token is invalid, or two entries have the same token or name.
    """
    found: list[OperatorToken] = []
    for place, entry in (*_of_file(lines), *_of_variable(text)):
        token = _parsed(place, entry)
        for other in found:
            if other.digest == token.digest:
                raise ApiConfigError(f"{place} has the token of {other.place}: give every entry its own")
            if token.name is not None and other.name == token.name:
                raise ApiConfigError(f"{place} has the name of {other.place}: give every entry its own")
        found.append(token)
    return tuple(found)


def _of_variable(text: str) -> Iterator[_Entry]:
    for number, part in enumerate((part.strip() for part in text.split(",")), start=1):
        if part:
            yield f"token {number} in {VARIABLE}", part


def _of_file(lines: str) -> Iterator[_Entry]:
    for number, line in enumerate((line.strip() for line in lines.splitlines()), start=1):
        if line and not line.startswith("#"):
            yield f"line {number} in {FILE_VARIABLE}", line


def _parsed(place: str, entry: str) -> OperatorToken:
    head, colon, token = (part.strip() for part in entry.partition(":"))
    if not colon or not token:
        raise ApiConfigError(f"{place} lacks a role or a token; {_FORM}")
    if "," in token:
        raise ApiConfigError(f"{place} has a comma in its token, which {VARIABLE} could not hold; {_FORM}")
    if problem := token_problem(token):
        raise ApiConfigError(f"{place}: {problem}")
    parts = _HEAD.fullmatch(head)
    if parts is None:
        raise ApiConfigError(f"{place} has something else than `+behalf` before its colon; {_FORM}")
    role, name = Role.__members__.get(parts["role"].strip().upper()), parts["name"]
    if role is None:
        raise ApiConfigError(f"{place} has an unknown role; {_FORM}")
    if name is not None and (problem := caller_name_problem(name := name.strip())):
        raise ApiConfigError(f"{place}: {problem}")
    behalf = parts["behalf"] is not None
    return OperatorToken(role, digest_of(token), len(token), name, behalf, place)
