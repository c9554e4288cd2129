"""Only `running` of this attempt by this runner opens the gate; everything else has its own meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.control.start_gate import LoggedEvent, Standing, judge_answer, judge_event
from runner.control.task_log import parse_event
from runner.outbox.transports import ReportAnswer
from runner.store.state import Key

KEY = Key("task", 2)
ME, OTHER = "me", "other"


@pytest.mark.parametrize(
    ("event", "standing"),
    [
        (None, Standing.WAIT),
        (LoggedEvent("created", None, None), Standing.WAIT),
        (LoggedEvent("failed", 1, OTHER), Standing.WAIT),
        (LoggedEvent("dispatched", 2, None), Standing.WAIT),
        (LoggedEvent("queued", 2, ME), Standing.WAIT),
        (LoggedEvent("queued", 2, OTHER), Standing.OVER),
        (LoggedEvent("running", 2, ME), Standing.RUNNING),
        (LoggedEvent("running", 2, None), Standing.WAIT),
        (LoggedEvent("running", 2, OTHER), Standing.OVER),
        (LoggedEvent("cancel-requested", 2, None), Standing.CANCEL),
        (LoggedEvent("lock-release-requested", 2, None), Standing.CANCEL),
        (LoggedEvent("asked", 2, "r1"), Standing.WAIT),
        (LoggedEvent("answered", 2, None), Standing.WAIT),
        (LoggedEvent("canceled", 2, None), Standing.OVER),
        (LoggedEvent("submit-failed", 2, None), Standing.OVER),
        (LoggedEvent("failed", 2, ME), Standing.OVER),
        (LoggedEvent("dispatched", 3, None), Standing.OVER),
        (LoggedEvent("some-later-kind", 2, None), Standing.WAIT),
    ],
)
def test_the_last_event_decides(event: LoggedEvent | None, standing: Standing) -> None:
    assert judge_event(event, KEY, ME) is standing


def accepted(**body: Any) -> ReportAnswer:
    return ReportAnswer("accepted", "HTTP 200", 200, json.dumps(body).encode())


def refused(kind: str, **body: Any) -> ReportAnswer:
    problem = {"type": f"https://towpath.example/problems/{kind}", **body}
    return ReportAnswer("rejected", f"HTTP 409 {kind}", 409, json.dumps(problem).encode())


OURS = {"status": "running", "attempt": 2, "runner_id": ME, "cancel_requested": False}


@pytest.mark.parametrize(
    ("answer", "standing"),
    [
        (accepted(**OURS), Standing.RUNNING),
        (accepted(**{**OURS, "cancel_requested": True}), Standing.CANCEL),
        (accepted(**{**OURS, "status": "queued"}), Standing.REFUSED),
        (accepted(**{**OURS, "status": "canceled"}), Standing.OVER),
        (accepted(**{**OURS, "attempt": 3}), Standing.OVER),
        (accepted(**{**OURS, "attempt": 1}), Standing.REFUSED),
        (accepted(**{**OURS, "runner_id": OTHER}), Standing.OVER),
        (accepted(**{**OURS, "runner_id": None}), Standing.REFUSED),
        (accepted(), Standing.REFUSED),
        (ReportAnswer("accepted", "", 200, b"not json"), Standing.REFUSED),
        (ReportAnswer("accepted", "", 204, json.dumps(OURS).encode()), Standing.REFUSED),
        (refused("stale-attempt"), Standing.OVER),
        (refused("not-your-attempt"), Standing.OVER),
        (refused("ended"), Standing.OVER),
        (refused("cancel-requested"), Standing.CANCEL),
        (refused("lock-release-requested", detail="do not start, report `canceled`"), Standing.CANCEL),
        (refused("transition", detail="a cancel was requested"), Standing.CANCEL),
        (refused("unknown-attempt"), Standing.REFUSED),
    ],
)
def test_the_answer_decides(answer: ReportAnswer, standing: Standing) -> None:
    assert judge_answer(answer, KEY, ME).standing is standing


def test_events_are_read_from_header_or_data() -> None:
    data = b'{"attempt": 2, "runner_id": "me"}'
    assert parse_event("towpath.task.x.running", "3", data) == LoggedEvent("running", 3, "me")
    assert parse_event("towpath.task.x.running", None, data) == LoggedEvent("running", 2, "me")
    assert parse_event("towpath.task.x.created", None, b"[]") == LoggedEvent("created", None, None)
    assert parse_event("towpath.task.x.created", "x", b"?") == LoggedEvent("created", None, None)
