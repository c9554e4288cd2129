"""Each way a job can end has one status, one reason and a sentence for people."""

from __future__ import annotations

from typing import Any

import pytest

from domain.protocol import Report
from runner.attempts.report_mapping import final_report
from runner.clock import utcnow
from runner.process.job_process import JobEnd


def report_of(**ended: Any) -> Report | None:
    now = utcnow()
    return final_report(
        JobEnd(finished_at=now, **ended), attempt=1, runner_id="me", timeout=1.5, started_at=now, tail="end"
    )


@pytest.mark.parametrize(
    ("ended", "status", "reason", "code", "says"),
    [
        ({"why": "exit", "exit_code": 0}, "succeeded", None, 0, "code 0"),
        ({"why": "exit", "exit_code": 3}, "failed", "exit", 3, "code 3"),
        ({"why": "exit", "signal": 9}, "failed", "killed", -9, "SIGKILL"),
        ({"why": "exit", "signal": 40}, "failed", "killed", -40, "signal 40"),
        ({"why": "timeout", "signal": 15}, "failed", "timeout", -15, "1.5 s"),
        ({"why": "canceled", "exit_code": 0}, "canceled", None, 0, "nothing of it is left"),
        ({"why": "lease", "signal": 9}, "failed", "runner-lost", -9, "lease"),
        ({"why": "stopped", "signal": 15}, "failed", "runner-lost", -15, "its runner was stopped in order"),
        (
            {"why": "shim-lost", "message": "its shim got SIGTERM"},
            "failed",
            "killed",
            None,
            "SIGTERM; everything",
        ),
        ({"why": "runner-gone"}, "failed", "runner-lost", None, "gone"),
        (
            {"why": "exit", "exit_code": 0, "refused": "process 7"},
            "succeeded",
            None,
            0,
            "process 7: it went on",
        ),
        (
            {"why": "lease", "refused": "process 7"},
            "failed",
            "runner-lost",
            None,
            "all else was killed; process 7",
        ),
        ({"why": "error", "message": "cannot start 'x'"}, "failed", "error", None, "cannot start 'x'"),
    ],
)
def test_table(ended: dict[str, Any], status: str, reason: str | None, code: int | None, says: str) -> None:
    report = report_of(**ended)
    assert report is not None
    assert (report.status, report.reason, report.exit_code) == (status, reason, code)
    assert says in (report.message or "")
    assert report.output_tail == "end"


def test_nobody_waits_for_a_forgotten_attempt() -> None:
    assert report_of(why="forgotten", signal=9) is None


@pytest.mark.parametrize(
    ("size", "says"),
    [(0, ""), (8192, ""), (108_544, "; output: last 8 KiB of 106 KiB"), (3 << 20, "last 8 KiB of 3.0 MiB")],
)
def test_a_cut_output_says_how_much_of_it_the_report_brings(size: int, says: str) -> None:
    now = utcnow()
    ended = JobEnd(finished_at=now, why="error", message="m" * 5000)
    report = final_report(
        ended, attempt=1, runner_id="me", timeout=None, started_at=now, tail="end", output_bytes=size
    )
    assert report is not None
    assert (report.message or "").endswith(says or "m")
