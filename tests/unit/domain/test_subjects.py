"""What stands on the wire, letter by letter: other programs and the broker's permissions name it, too."""

from __future__ import annotations

import ast
import re

import pytest

from domain import subjects
from domain.subjects import ANY, wildcard
from tests.support.repository import REPO


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        (subjects.event("task", "T", "created"), "towpath.task.T.created"),
        (subjects.event("lock", "acme"), "towpath.lock.acme.*"),
        (subjects.event("lock", ANY, "granted"), "towpath.lock.*.granted"),
        (subjects.event(), "towpath.*.*.*"),
        (subjects.append("task", "T", "created"), "towpath.append.task.T.created"),
        (subjects.append(), "towpath.append.*.*.*"),
        (subjects.submit("default"), "towpath.submit.default"),
        (subjects.report(), "towpath.report.*"),
        (subjects.runner("host-1"), "towpath.runner.host-1"),
        (subjects.heartbeat(), "towpath.heartbeat.*"),
        (subjects.dead("report", "T"), "towpath.dead.report.T"),
        (subjects.timer_at("attempt", "T", 2), "towpath.timer.at.attempt.T.2"),
        (subjects.timer_due("attempt"), "towpath.timer.due.attempt.*.*"),
        (subjects.checkpoint(7), "towpath.checkpoint.7"),
        (subjects.append_checkpoint(), "towpath.append.checkpoint.*"),
        (subjects.under(), "towpath.>"),
        (subjects.prefix("timer"), "towpath.timer."),
        (subjects.under("dead", "report"), "towpath.dead.report.>"),
        (subjects.event(wildcard(1), wildcard(2), wildcard(3)),
         "towpath.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"),
    ],
)  # fmt: skip
def test_a_subject_is_spelled_as_it_always_was(subject: str, wanted: str) -> None:
    assert subject == wanted


def test_nothing_else_spells_a_subject_pattern() -> None:
    """Neither one with a wildcard nor one made from parts; the types of events (`….v1`) are none."""
    parts = ("domain", "adapters", "projections", "api", "runner", "infra")
    spelled = [
        f"{file}: {text}"
        for part in parts
        for file in (REPO / part).rglob("*.py")
        if file != REPO / "domain" / "subjects.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        if re.fullmatch(r"""f?["']towpath\..*[*>{].*(?<!\.v1)["']""", text := ast.unparse(node))
    ]
    assert spelled == []
