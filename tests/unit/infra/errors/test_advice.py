"""What the API advises is said in the command line's own words, wherever in the program the advice stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import typer

from infra.cli.app import app
from infra.errors.advice import OPTIONS, for_people
from infra.lock.options import parser
from tests.support.repository import REPO

ROUTE = re.compile(r"\b(GET|POST|PUT|DELETE) /\w")
BARE = re.compile(r"[A-Z]+ /\S*")
"""A route's name that stands alone: an example, no advice."""


PARTS = ("domain", "api", "adapters", "projections")


def texts(parts: tuple[str, ...] = PARTS) -> Iterator[str]:
    """Every text of the parts that answer requests, but docstrings and descriptions in the contracts."""
    for part in parts:
        for file in sorted((REPO / part).rglob("*.py")):
            tree = ast.parse(file.read_text())
            calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call)]
            documents = {id(key.value) for call in calls for key in call.keywords if key.arg == "description"}
            documents |= {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
            for one in ast.walk(tree):
                if id(one) in documents:
                    continue
                if isinstance(one, ast.JoinedStr):
                    parts = [str(v.value) if isinstance(v, ast.Constant) else "x" for v in one.values]
                    yield "".join(parts)
                elif isinstance(one, ast.Constant) and isinstance(one.value, str):
                    yield one.value


ADVICE = sorted(
    {
        text
        for text in texts()
        if ROUTE.search(text) and not text.rstrip().endswith("/") and not BARE.fullmatch(text)
    }
)


def test_there_is_advice_to_look_at() -> None:
    assert len(ADVICE) >= 6


@pytest.mark.parametrize("text", ADVICE)
def test_advice_names_a_command_instead_of_a_route(text: str) -> None:
    said = for_people(text)
    assert not ROUTE.search(said)
    assert "towpath" in said or "documentation" in said


def test_a_workspace_is_registered_with_a_command() -> None:
    api = "workspace nope is not registered; register it with PUT /workspaces/nope"
    assert for_people(api).endswith("register it with `towpath workspaces add nope DIR`")


def test_fields_are_named_as_options() -> None:
    said = for_people("correct the request: body.lock_paths.0: too long; body.timeout_seconds: too small")
    assert said == "correct the request: --path: too long; --timeout: too small"


ELSEWHERE = {"--help", "--also", "--directory", "--max-bytes", "--node", "--quick"}
"""Of `python -m infra…` and other programs."""


def options() -> dict[str, bool]:
    """Every option of every command, and whether it is a flag."""
    found = {one: action.nargs == 0 for action in parser()._actions for one in action.option_strings}
    commands = [typer.main.get_command(app)]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        for one in command.params:
            found |= dict.fromkeys((*one.opts, *one.secondary_opts), getattr(one, "is_flag", False))
    return found


def test_advice_names_options_that_exist() -> None:
    named = {word for word in OPTIONS.values() if word.startswith("--")}
    for text in (*ADVICE, *texts(("infra", "runner"))):
        named |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", for_people(text)))
    there = options()
    assert named - set(there) - ELSEWHERE == set()
    assert len(named) > 10


def test_no_advice_gives_a_flag_a_value() -> None:
    flags = "|".join(name for name, flag in options().items() if flag)
    for text in [*ADVICE, *texts()]:
        assert not re.search(rf"({flags})[ =]`?(wait|exclusive|true)\b", for_people(text)), text


def test_the_way_out_of_a_refusal_leaves_the_flag_out() -> None:
    api = "others hold or wait for these paths; dispatch again later, or use on_conflict `wait`"
    assert for_people(api).endswith("dispatch again later, or leave --reject out to wait")


@pytest.mark.parametrize(
    ("api", "people"),
    [
        ("query.status.0: Input should be 'created' or 'queued'", "--status: give one of created, queued"),
        ("body.lock_paths.0: String should have at least 1 character", "--path: it is empty: give some text"),
        (
            "body.pool: String should match pattern '^[A-Za-z0-9_-]{1,64}$'",
            "--pool: give 1 to 64 of the",
        ),
        (
            "body.choices.0: Value should have at most 64 items after validation, not 70",
            "--choice: give at most 64",
        ),
        ("query.limit: Input should be less than or equal to 100", "--limit: give at most 100"),
    ],
)
def test_what_a_validator_says_is_said_of_what_was_typed(api: str, people: str) -> None:
    assert for_people(f"correct the request: {api}").removeprefix("correct the request: ").startswith(people)
