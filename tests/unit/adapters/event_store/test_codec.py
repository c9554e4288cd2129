"""Pins the stored bytes of every event: what is in the log today must be readable for ever.

A change here is a change of the published format: it needs a new version and an upcaster, not a new
golden file. New events are added with TOWPATH_UPDATE_GOLDEN=1.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from adapters.event_store.codec import decode, encode
from domain.locks.claims import FIRST_CHAIN
from domain.log import events as data
from domain.log.events import EVENTS, EventData, Kind
from tests.support.repository import GOLDEN

TASK = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
OTHER = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c12"
AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)

SAMPLES: dict[tuple[Kind, str], EventData] = {
    ("task", "created"): data.CreatedData(
        title="Bäckerei",
        command=["make", "test"],
        execution_mode="shared-workspace",
        workspace="acme-api",
        lock_paths=["src/api", "tests"],
        lock_mode="exclusive",
        on_conflict="wait",
        pool="default",
        env={"TOKEN": "v1.0a1b2c3d.c2VhbGVk"},
        timeout_seconds=90.5,
        labels={"team": "core"},
    ),
    ("task", "dispatched"): data.DispatchedData(
        attempt=1,
        pool="default",
        workspace="acme-api",
        root="/srv/acme",
        registration_seq=3,
        lock_paths=["src/api", "tests"],
        lock_mode="exclusive",
        on_conflict="wait",
        by="operator:ann",
    ),
    ("task", "queued"): data.QueuedData(attempt=1, runner_id="r1", transport="nats"),
    ("task", "running"): data.RunningData(attempt=1, runner_id="r1", started_at=AT, pid=4711),
    ("task", "succeeded"): data.SucceededData(
        attempt=1, runner_id="r1", exit_code=0, message=None, finished_at=AT, output_tail="done\n"
    ),
    ("task", "failed"): data.FailedData(
        attempt=1,
        runner_id="r1",
        exit_code=2,
        message="exited with code 2",
        finished_at=AT,
        output_tail="boom\n",
        reason="exit",
    ),
    ("task", "cancel-requested"): data.CancelRequestedData(attempt=1, by="operator:ann", reason="enough"),
    ("task", "canceled"): data.CanceledData(
        attempt=1,
        by="runner:r1",
        reason=None,
        runner_id="r1",
        message="killed",
        finished_at=AT,
        output_tail="",
    ),
    ("task", "submit-failed"): data.SubmitFailedData(attempt=1, reason="no-runner", message="no live runner"),
    ("task", "lock-release-requested"): data.LockReleaseRequestedData(
        attempt=1, token=5, by="operator:ann", reason="host is gone"
    ),
    ("task", "asked"): data.AskedData(
        attempt=1,
        question_id="deploy",
        text="Deploy to production?",
        choices=["yes", "no"],
        free_text=False,
        expires_at=AT,
        default="no",
        runner_id="r1",
    ),
    ("task", "answered"): data.AnsweredData(
        attempt=1, question_id="deploy", choice="yes", text=None, by="operator:ann", cause="person"
    ),
    ("workspace", "registered"): data.RegisteredData(root="/srv/acme", on_runner_lost="fail", by="admin:ann"),
    ("workspace", "removed"): data.RemovedData(by="admin:ann", reason=None),
    ("lock", "granted"): data.GrantedData(
        task_id=TASK, attempt=1, root="/srv/acme", paths=["src/api"], mode="exclusive", seen_seq=4
    ),
    ("lock", "refused"): data.RefusedData(
        task_id=TASK,
        attempt=1,
        root="/srv/acme",
        paths=["src/api"],
        mode="exclusive",
        seen_seq=4,
        holders=[data.Holder(task_id=OTHER, attempt=2, token=3)],
        reason="workspace-locked",
        valid_root="/srv/acme",
    ),
    ("lock", "released"): data.ReleasedData(
        task_id=TASK,
        attempt=1,
        paths=["src/api"],
        cause="succeeded",
        cause_seq=9,
        by="runner:r1",
        seen_seq=9,
    ),
}

VARIANTS: dict[str, tuple[Kind, str, EventData]] = {
    "task.created.v1.lock-wait": (
        "task", "created", SAMPLES[("task", "created")].model_copy(update={"lock_wait_seconds": 30.0})
    ),
    "task.created.v1.timeout-pauses": (
        "task", "created", SAMPLES[("task", "created")].model_copy(update={"timeout_pauses": True})
    ),
    "task.created.v1.secrets": (
        "task",
        "created",
        SAMPLES[("task", "created")].model_copy(update={"secrets": {"KEY": "v1.0a1b2c3d.c2VhbGVk"}}),
    ),
    "task.created.v1.retry": (
        "task",
        "created",
        SAMPLES[("task", "created")].model_copy(
            update={
                "retry": data.RetryPolicy(
                    max_attempts=3, backoff_seconds=10.0, on=["deadline", "runner-lost"]
                )
            }
        ),
    ),
    "task.dispatched.v1.hold": (
        "task", "dispatched", SAMPLES[("task", "dispatched")].model_copy(update={"on_runner_lost": "hold"})
    ),
    "lock.refused.v1.workspace-changed": (
        "lock", "refused", SAMPLES[("lock", "refused")].model_copy(
            update={"holders": [], "reason": "workspace-changed", "valid_root": None}
        )
    ),
    "task.dispatched.v1.lock-wait": (
        "task", "dispatched", SAMPLES[("task", "dispatched")].model_copy(update={"lock_wait_seconds": 30.0})
    ),
}  # fmt: skip
"""Fields that may be left out, and other values that change the form."""


def test_every_event_has_a_sample() -> None:
    assert set(SAMPLES) == set(EVENTS)
    assert all(type(SAMPLES[key]) is model for key, model in EVENTS.items())


@pytest.mark.parametrize(("kind", "event"), sorted(SAMPLES))
def test_the_stored_form_is_the_golden_one(kind: Kind, event: str) -> None:
    check_golden(f"{kind}.{event}.v1", kind, event, SAMPLES[(kind, event)])


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_so_is_that_of_its_variants(name: str) -> None:
    check_golden(name, *VARIANTS[name])


def check_golden(name: str, kind: Kind, event: str, sample: EventData) -> None:
    subject_id = TASK if kind == "task" else "acme-api"
    message = encode(
        kind,
        subject_id,
        event,
        sample,
        id="0198c5a2-7c1e-7bbd-9f5e-000000000001",
        version=2,
        at=AT,
        actor="operator:ann b",
        expected_seq=7,
        previous_chain=FIRST_CHAIN,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    stored = {
        "subject": message.subject,
        "append_subject": message.append_subject,
        "headers": message.publish_headers,
        "data": message.data.decode(),
    }
    path = GOLDEN / f"{name}.json"
    if os.environ.get("TOWPATH_UPDATE_GOLDEN") and not path.exists():
        path.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    golden = json.loads(path.read_text())
    assert stored == golden
    read = decode(9, golden["subject"], golden["headers"], golden["data"].encode())
    assert EVENTS[(kind, event)].model_validate(read.data) == sample
    assert (read.version, read.actor, read.at) == (2, "operator:ann b", AT)
