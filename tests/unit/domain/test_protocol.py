"""What runners send: what is accepted, cut, replaced, ignored and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.protocol import (
    FAILED_REASONS,
    MAX_COUNTER,
    MAX_HELD,
    MESSAGE_CHARS,
    OUTPUT_TAIL_BYTES,
    Accepted,
    Heartbeat,
    Held,
    Report,
    Submission,
    rfc3339,
)
from tests.unit.domain.samples import TASK_ID

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
SIGNS = ["a", "\n", "\x00", "é", "€", "𝄞"]


def report(**fields: Any) -> Report:
    return Report.model_validate({"status": "succeeded", **fields})


# ---------------------------------------------------------------- the output's tail


@given(st.lists(st.sampled_from(SIGNS), min_size=1, max_size=30), st.integers(0, 800))
def test_the_tail_is_the_end_cut_at_a_character(signs: list[str], times: int) -> None:
    output = "".join(signs) * times
    kept = report(output_tail=output).output_tail
    assert kept is not None
    shown = output.replace("\x00", "\ufffd")
    assert shown.endswith(kept)
    assert len(kept.encode()) <= OUTPUT_TAIL_BYTES
    cut = len(shown) > len(kept)
    assert not cut or len((shown[-len(kept) - 1] + kept).encode()) > OUTPUT_TAIL_BYTES


@pytest.mark.parametrize("extra", range(5))
def test_a_character_on_the_border_is_left_out_whole(extra: int) -> None:
    kept = report(output_tail="𝄞" * 10 + "a" * (OUTPUT_TAIL_BYTES - extra)).output_tail
    assert kept == "𝄞" * (extra // 4) + "a" * (OUTPUT_TAIL_BYTES - extra)


def test_nul_is_replaced() -> None:
    said = report(message="a\x00b", output_tail="c\x00d", status="canceled", reason="e\x00f")
    assert (said.message, said.output_tail, said.reason) == ("a\ufffdb", "c\ufffdd", "e\ufffdf")


def test_a_lone_surrogate_is_replaced_since_it_cannot_be_stored() -> None:
    said = report(output_tail="a\ud800b")
    assert said.output_tail == "a\ufffdb"
    assert said.model_dump_json()


# ---------------------------------------------------------------- status and reason


def test_success_is_read_as_succeeded() -> None:
    assert report(status="success").status == "succeeded"


@pytest.mark.parametrize(
    "status", ["created", "dispatched", "submit-failed", "Running", "", None, 1, ["queued"]]
)
def test_other_statuses_are_refused(status: object) -> None:
    with pytest.raises(ValidationError):
        report(status=status)


@pytest.mark.parametrize("reason", FAILED_REASONS)
def test_reasons_of_a_failure(reason: str) -> None:
    assert report(status="failed", reason=reason, exit_code=1).failed_reason == reason


def test_an_unknown_reason_of_a_failure_is_refused_and_says_which_there_are() -> None:
    with pytest.raises(ValidationError, match="exit, timeout, runner-lost, killed, error"):
        report(status="failed", reason="bad luck")


def test_the_reason_of_a_cancel_is_free() -> None:
    assert report(status="canceled", reason="asked to").reason == "asked to"


# ---------------------------------------------------------------- sizes and forms


def test_only_the_status_is_required_and_unknown_fields_are_ignored() -> None:
    said = report(mood="fine", version=99)
    assert said == report()
    assert not hasattr(said, "mood")
    assert said.model_dump(exclude={"status"}) == dict.fromkeys(said.model_dump(exclude={"status"}))


@pytest.mark.parametrize(
    "fields",
    [
        {"attempt": 0},
        {"attempt": -1},
        {"attempt": 1.5},
        {"attempt": "1"},
        {"attempt": True},
        {"pid": "7"},
        {"runner_id": "a.b"},
        {"runner_id": ""},
        {"message": "x" * (MESSAGE_CHARS + 1)},
        {"reason": "x" * 201},
        {"pid": -1},
        {"exit_code": "x"},
        {"exit_code": 2**31},
        {"exit_code": -(2**31) - 1},
        {"pid": 2**31},
        {"started_at": "2026-03-01T12:00:00"},
        {"finished_at": "yesterday"},
    ],
)
def test_what_a_report_cannot_say(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        report(**fields)


@given(
    st.datetimes(*map(datetime.fromisoformat, ("1970-01-01", "2200-01-01")), timezones=st.just(UTC)),
    st.integers(-1439, 1439),
)
def test_times_are_read_back_as_the_same_moment(at: datetime, offset: int) -> None:
    local = at.astimezone(timezone(timedelta(minutes=offset)))
    said = report(finished_at=local.isoformat())
    assert said.finished_at == at
    assert said.finished_at.tzinfo is UTC
    assert rfc3339(local) == rfc3339(at)
    assert datetime.fromisoformat(rfc3339(at)) == at


def test_times_sort_as_text() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert rfc3339(at) == "2026-03-01T12:00:00.000000Z"
    assert rfc3339(at) < rfc3339(at + timedelta(microseconds=1)) < rfc3339(at + timedelta(seconds=1))


@given(texts, texts)
def test_a_report_survives_json(message: str, tail: str) -> None:
    said = report(message=message, output_tail=tail, attempt=3, pid=4)
    assert Report.model_validate_json(said.model_dump_json()) == said


def test_a_submission_reads_what_the_contract_shows() -> None:
    submission = Submission.model_validate(
        {
            "task_id": TASK_ID,
            "attempt": 1,
            "title": "build",
            "command": ["make"],
            "env": {},
            "timeout_seconds": None,
            "execution_mode": "shared-workspace",
            "workspace": {
                "id": "acme-api",
                "root": "/srv/acme",
                "lock_paths": [],
                "lock_mode": "exclusive",
                "lock_token": 41,
            },
            "status_callback_url": None,
            "status_callback_token": None,
            "later": "more",
        }
    )
    assert submission.workspace is not None
    assert submission.workspace.lock_token == 41
    for changed in ({"task_id": "t1"}, {"attempt": 0}, {"command": []}, {"timeout_seconds": 0}):
        with pytest.raises(ValidationError):
            Submission.model_validate({**submission.model_dump(), **changed})


def test_an_acceptance_need_not_name_its_runner() -> None:
    assert Accepted.model_validate({"task_id": TASK_ID, "attempt": 1, "status": "queued"}).runner_id is None


@pytest.mark.parametrize(
    "change",
    [
        {"pools": []},
        {"pools": ["a b"]},
        {"counter": -1},
        {"counter": "7"},
        {"counter": 2**53},
        {"capacity": -1},
        {"outbox": True},
        {"held": [{"task_id": "x"}]},
        {"held": [{"task_id": TASK_ID, "attempt": "1"}]},
        {"held": [{"task_id": TASK_ID, "attempt": 1}] * (MAX_HELD + 1)},
    ],
)
def test_heartbeats_are_checked(change: dict[str, object]) -> None:
    fields: dict[str, object] = {
        "runner_id": "r1",
        "pools": ["default"],
        "host": "h",
        "capacity": 2,
        "counter": 7,
        "held": [{"task_id": TASK_ID, "attempt": 1}],
    }
    assert Heartbeat.model_validate(fields).held[0].attempt == 1
    with pytest.raises(ValidationError):
        Heartbeat.model_validate({**fields, **change})


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """JSON knows one kind of number; some languages write 3 as 3.0."""
    said = Report.model_validate_json('{"status": "failed", "attempt": 1.0, "exit_code": 3.0}')
    assert (said.attempt, said.exit_code) == (1, 3)


def test_a_heartbeat_with_all_that_it_may_hold_fits_into_the_body_that_is_taken() -> None:
    holds = [Held(task_id=TASK_ID, attempt=2**31 - 1)] * MAX_HELD
    pools = ["p" * 64] * 64
    beat = Heartbeat(
        runner_id="r" * 64, pools=pools, host="h" * 255, capacity=1_000_000, counter=MAX_COUNTER, held=holds
    )
    assert len(json.dumps(beat.model_dump(mode="json"))) < 512 * 1024
