"""What the API advises is said in the command line's own words, wherever in the program the advice stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from infra.cli.advice import for_people
from infra.docs import REPO

ROUTE = re.compile(r"\b(GET|POST|PUT|DELETE) /\w")


def texts() -> Iterator[str]:
    """Every text of the parts that answer requests, but docstrings and descriptions in the contracts."""
    for part in ("domain", "api", "adapters", "projections"):
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
    {text for text in texts() if ROUTE.search(text) and not text.rstrip().endswith(("/", " /workspaces/"))}
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
    assert said == "correct the request: --path.0: too long; --timeout: too small"
