"""Tasks and events as the API shows them, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from domain.task.view import TaskRead

TASK_ID = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
OTHER_ID = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f2c22"
TIME = "2026-03-01T12:00:00.123456Z"


def task_read(**given: Any) -> dict[str, Any]:
    """A TaskRead as JSON; unknown fields of a request body are dropped, as the real one would."""
    fields = {
        "id": TASK_ID,
        "title": "echo hi",
        "status": "succeeded",
        "attempt": 1,
        "command": ["echo", "hi"],
        "execution_mode": "no-workspace",
        "workspace": None,
        "lock_paths": [],
        "lock_mode": "exclusive",
        "on_conflict": "wait",
        "pool": "default",
        "labels": {},
        "timeout_seconds": None,
        "created_at": TIME,
        "dispatched_at": None,
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "exit_code": None,
        "message": None,
        "reason": None,
        "runner_id": None,
        "cancel_requested": False,
        "output_tail": None,
        "lock": {},
        "seq": 7,
        "version": 3,
        **given,
    }
    if fields.get("retry"):
        fields["retry"] = {"backoff_seconds": 10.0, "on": ["deadline"], **fields["retry"]}
    return TaskRead.model_validate(fields).model_dump(mode="json")


def event(name: str, kind: str = "task", task_id: str = TASK_ID, **data: Any) -> dict[str, Any]:
    """An event as JSON; whoever stores it sets `seq`."""
    filled = {**_DATA.get((kind, name), {}), **data}
    return {
        "seq": 1,
        "id": "e1",
        "type": f"towpath.{kind}.{name}.v1",
        "event": name,
        "task_id": task_id,
        "workspace": filled.get("workspace"),
        "attempt": 1,
        "version": 1,
        "time": TIME,
        "actor": "operator",
        "chain": "0" * 64,
        "data": filled,
    }


_CLAIM = {"paths": ["src"], "mode": "exclusive", "task_id": TASK_ID, "attempt": 1, "root": "/srv"}
_DATA: dict[tuple[str, str], dict[str, Any]] = {
    ("task", "created"): {"command": ["echo", "two words"]},
    ("task", "dispatched"): {
        "pool": "default",
        "workspace": "acme",
        "lock_paths": ["src"],
        "lock_mode": "shared",
    },
    ("task", "queued"): {"runner_id": "r1", "transport": "nats"},
    ("task", "running"): {"runner_id": "r1", "pid": 4711},
    ("task", "succeeded"): {"exit_code": 0, "message": None, "output_tail": "hi\n"},
    ("task", "failed"): {"exit_code": 2, "message": None, "reason": "exit", "output_tail": "oh\n"},
    ("task", "cancel-requested"): {"by": "operator", "reason": "too slow"},
    ("task", "canceled"): {"by": "operator", "reason": None, "runner_id": "r1", "message": None},
    ("task", "submit-failed"): {"reason": "no-runner", "message": "nobody came"},
    ("task", "lock-release-requested"): {"token": 41, "reason": "stuck", "by": "admin"},
    ("task", "asked"): {
        "question_id": "q1",
        "text": "Deploy?",
        "choices": ["yes", "no"],
        "free_text": False,
        "expires_at": None,
        "default": None,
        "runner_id": "r1",
    },
    ("task", "answered"): {
        "question_id": "q1",
        "choice": "yes",
        "text": None,
        "by": "ann",
        "cause": "person",
    },
    ("workspace", "registered"): {"root": "/srv", "on_runner_lost": "fail", "by": "admin"},
    ("workspace", "removed"): {"reason": "gone", "by": "admin"},
    ("lock", "granted"): _CLAIM,
    ("lock", "refused"): {
        **_CLAIM,
        "holders": [{"task_id": OTHER_ID, "attempt": 1, "token": 3}],
        "reason": "workspace-locked",
        "valid_root": "/srv/acme",
    },
    ("lock", "released"): {"paths": ["src"], "cause": "failed", "cause_seq": 17, "by": "towpath"},
}
