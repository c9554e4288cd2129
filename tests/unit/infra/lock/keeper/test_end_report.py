"""Every end of the command: its report, what the user is told, the exit code."""

from __future__ import annotations

from typing import Any

import pytest

from domain.protocol import Report
from infra.lock.keeper.end_report import end_of


@pytest.mark.parametrize(
    ("said", "status", "reason", "code", "exit_code"),
    [
        ({"why": "exit", "exit_code": 0}, "succeeded", None, 0, 0),
        ({"why": "exit", "exit_code": 7}, "failed", "exit", 7, 7),
        ({"why": "exit", "signal": 15}, "failed", "killed", -15, 143),
        ({"why": "canceled", "signal": 15}, "canceled", None, -15, 143),
        ({"why": "canceled", "exit_code": 3}, "canceled", None, 3, 3),
        ({"why": "lease", "signal": 9}, "failed", "runner-lost", -9, 9),
        ({"why": "lease", "exit_code": 0}, "failed", "runner-lost", 0, 9),
        ({"why": "stopped", "signal": 9}, "failed", "killed", -9, 137),
        ({"why": "error", "message": "cannot"}, "failed", "error", None, 126),
        ({"why": "shim-lost", "message": "gone"}, "failed", "killed", None, 137),
        ({}, "failed", "killed", None, 137),
    ],
)
def test_ends(
    said: dict[str, Any], status: str, reason: str | None, code: int | None, exit_code: int
) -> None:
    end = end_of(said)
    report = Report.model_validate(end.fields)
    assert (report.status, report.reason, report.exit_code, end.code) == (status, reason, code, exit_code)
    assert report.message
    assert bool(end.words) is (said.get("why") != "exit"), "of its own end the command has told the user"


@pytest.mark.parametrize("why", ["exit", "canceled", "lease", "stopped", "shim-lost"])
def test_what_could_not_be_signaled_is_told_and_not_called_killed(why: str) -> None:
    end = end_of({"why": why, "exit_code": 0}, "process 7 (sudo, user 0) cannot be signaled by user 1000")
    told = "process 7 (sudo, user 0) cannot be signaled by user 1000: it went on until it ended by itself"
    assert end.fields["message"].endswith(f"; {told}")
    assert end.words.endswith(told) is (why != "exit")
    assert not {"everything was killed", "the command was killed"} & set(end.words.split("; "))
