"""Messages of programs of the version before: this version reads them, and they read this version's.

The older programs do not know questions, retries, goodbyes and secrets by name. What they send is
written down here as they sent it; what they read are the fields that they knew, whatever else comes.
"""

from __future__ import annotations

import json

from domain.log.events import CreatedData, DispatchedData
from domain.protocol import Heartbeat, Report, Submission

TASK = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
HEARTBEAT = (
    b'{"runner_id":"host-7","instance":"a1","pools":["default"],"host":"h7","capacity":2,"counter":9,'
    b'"held":[{"task_id":"0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11","attempt":1}],"outbox":0}'
)
REPORT = (
    b'{"status":"failed","attempt":1,"runner_id":"host-7","instance":"a1","reason":"exit","exit_code":3,'
    b'"message":"exit code 3","output_tail":"no such file\\n"}'
)
SUBMISSION = (
    b'{"task_id":"0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11","attempt":1,"title":"build","command":["make"],'
    b'"env":{"TOKEN":"s3cret"},"timeout_seconds":null,"execution_mode":"shared-workspace","workspace":{"id":'
    b'"shop","root":"/srv/shop","lock_paths":["src"],"lock_mode":"exclusive","lock_token":41},'
    b'"status_callback_url":"http://api:8000/runner/tasks/x/status","status_callback_token":"t"}'
)
CREATED = (
    b'{"title":"t","command":["true"],"execution_mode":"no-workspace","workspace":null,"lock_paths":[],'
    b'"lock_mode":"exclusive","on_conflict":"wait","pool":"default","env":{},"timeout_seconds":null,"labels":{}}'
)


def test_an_older_runner_says_no_goodbye_and_holds_what_it_lists() -> None:
    beat = Heartbeat.model_validate_json(HEARTBEAT)
    assert (beat.leaving, beat.gone) == (False, False)
    assert beat.holds(TASK, 1)
    idle = Heartbeat.model_validate({**json.loads(HEARTBEAT), "held": []})
    assert not idle.gone, "an older runner with nothing to do has not left"


def test_an_older_report_and_submission_mean_what_they_meant() -> None:
    report = Report.model_validate_json(REPORT)
    assert (report.status, report.reason, report.exit_code) == ("failed", "exit", 3)
    submission = Submission.model_validate_json(SUBMISSION)
    assert (submission.job_token, submission.api_url) == (None, None)
    assert submission.workspace is not None
    assert submission.workspace.lock_token == 41
    assert submission.secret_values == ["t"]


def test_what_an_older_runner_knows_of_a_submission_has_not_changed() -> None:
    """A newer dispatcher adds fields, and neither renames nor moves one that was there."""
    older = json.loads(SUBMISSION)
    newer = Submission.model_validate(
        {**older, "secret_names": ["TOKEN"], "job_token": "j", "api_url": "http://api:8000"}
    ).model_dump(mode="json")
    assert {name: newer[name] for name in older} == older


def test_what_an_older_control_plane_knows_of_a_goodbye_has_not_changed() -> None:
    older = json.loads(HEARTBEAT)
    newer = Heartbeat.model_validate({**older, "leaving": True}).model_dump(mode="json")
    assert {name: newer[name] for name in older} == older


def test_events_of_tasks_without_anything_new_are_stored_as_before() -> None:
    created = CreatedData.model_validate_json(CREATED)
    assert created.retry is None
    stored = json.loads(created.model_dump_json())
    assert stored == json.loads(CREATED)
    assert DispatchedData.model_fields["on_runner_lost"].default is None
