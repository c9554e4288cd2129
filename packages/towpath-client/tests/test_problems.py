"""Every code of the API has its class, found in the API's source; others become the class of their status."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from api.problems import _HTTP, STATUS
from domain.errors import _ADVICE, Busy, Invalid, LogFull, NotFound, Refused
from domain.locks.judging import VoidReason
from domain.log.position import BEYOND, OTHER_LOG
from domain.task.transitions import TABLE, Refuse
from tests.support.repository import REPO
from towpath_client import Problem, problems

KINDS = {kind.__name__: STATUS[kind] for kind in (Invalid, NotFound, Refused, Busy, LogFull)}
NAMED = {"HttpProblem": 0, "problem_response": 0, "ForeignHost": 0}
NO_LITERAL = {"log-unreachable", "output-gone", "runner-busy", "stopping", "too-slow", "wrong-token"}


def _constant(node: ast.expr, constants: dict[str, Any]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    return constants.get(node.id) if isinstance(node, ast.Name) else None


def _calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
            continue
        name, found = node.func.id, [_constant(one, constants) for one in node.args[:2]]
        if name in KINDS and isinstance(found[0], str):
            yield KINDS[name], found[0]
        elif name in NAMED and len(found) == 2 and isinstance(found[1], str):
            yield found[0], found[1]


def codes() -> set[tuple[int, str]]:
    """Status and code of every problem of the API."""
    found = {(KINDS["Refused"], code) for code in (*_ADVICE, *get_args(VoidReason))}
    found |= {(409, one.code) for row in TABLE.values() for one in row.values() if isinstance(one, Refuse)}
    found |= {(404, code) for code in (BEYOND, OTHER_LOG)}
    found |= {(status, code) for status, (code, _) in _HTTP.items()}
    for part in ("api", "domain", "adapters", "projections"):
        for file in sorted((REPO / part).rglob("*.py")):
            found |= set(_calls(ast.parse(file.read_text())))
    return found


def test_the_search_finds_codes_of_every_status() -> None:
    found = codes()
    assert len(found) > 60
    assert {status for status, _ in found} >= {
        400,
        401,
        403,
        404,
        405,
        408,
        409,
        413,
        415,
        422,
        500,
        503,
        507,
    }


@pytest.mark.parametrize(("status", "code"), sorted(codes()))
def test_every_code_has_its_class_below_that_of_its_status(status: int, code: str) -> None:
    assert code in problems.BY_CODE, "add its class to towpath_client/problems/codes.py"
    kind = problems.BY_CODE[code]
    assert issubclass(kind, problems.BY_STATUS[status])
    assert kind.__doc__


def test_no_class_is_of_a_code_that_the_api_does_not_have() -> None:
    assert set(problems.BY_CODE) - {code for _, code in codes()} <= NO_LITERAL


def test_an_unknown_code_becomes_the_class_of_its_status() -> None:
    assert problems.problem_class("made-up-tomorrow", 409) is problems.Conflict
    assert problems.problem_class("made-up-tomorrow", 418) is Problem


def test_a_problem_can_be_pickled() -> None:
    problem = problems.IdTaken("id-taken", 409, "choose another", {"x": 1}, 2.0)
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), again.code, again.status, again.detail) == (
        problems.IdTaken,
        "id-taken",
        409,
        "choose another",
    )
    assert (again.extra, again.retry_after, str(again)) == ({"x": 1}, 2.0, "choose another (id-taken)")
