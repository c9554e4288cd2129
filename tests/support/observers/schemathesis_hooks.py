"""What schemathesis cannot know from the document: how a cursor is made; and a list of what was answered.

Loaded by its command line (SCHEMATHESIS_HOOKS). A cursor is opaque; these are such as the lists give. The
answers go to the file that ANSWERS_FILE names, a line of status and operation each: checks that only ever saw
refusals would prove little.
"""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

ANSWERS_FILE = "ANSWERS_FILE"


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


TASK = "0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"
TIMES = st.integers(0, 2**31).map(lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat())

schemathesis.openapi.format("cursor", st.integers(0, 2**40).map(lambda seq: _cursor(str(seq))))
schemathesis.openapi.format("task-cursor", TIMES.map(lambda at: _cursor(json.dumps([at, TASK]))))
schemathesis.openapi.format("notice-cursor", TIMES.map(lambda at: _cursor(f"{at} ops {TASK}")))


MENDS = "POST /runner/tasks/{task_id}/status"
"""Takes more than its document asks for, on purpose: an end never gets lost over its text."""

ANSWERS = "POST /tasks/{task_id}/questions/{question_id}/answer"
BULK = "POST /tasks/bulk"
FIXED = {"/tasks/bulk": "POST", "/dead/settled": "GET"}
CONSOLES = ("POST /session", "DELETE /session")
ASKS = "POST /runner/tasks/{task_id}/questions"
RECORDS = "POST /verifications"
FITTING_BYTES = 12 * 1024
"""A result of so many bytes fits with all its defaults."""


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out reports that break the document; `tests/unit` says what becomes of them.

    And what no schema can say: the `Origin` of the console's own page, questions with a default or with
    choices, answers that a question does not offer, a task twice in one bulk, and results
    of `verify` that contradict themselves or are too long together.
    """
    generation = case.meta.generation if case.meta else None
    negative = generation is not None and generation.mode.is_negative
    if case.operation.label == ANSWERS and not negative and case.body != {"choice": "yes"}:
        return False
    if case.operation.label in CONSOLES and not negative:
        return False
    if FIXED.get(case.operation.path, case.method) != case.method:
        return False  # these are requests for a task called `bulk`, a dead letter called `settled`
    if case.operation.label == BULK and isinstance(case.body, dict):
        items = case.body.get("items")
        named = [json.dumps(one.get("id")) for one in items if isinstance(one, dict)] if items else []
        if len(set(named)) < len(named):
            return False
    if case.operation.label == ASKS and isinstance(case.body, dict):
        choices, default = case.body.get("choices"), case.body.get("default")
        offered = (
            [one.strip() for one in choices if isinstance(one, str)] if isinstance(choices, list) else []
        )
        if len(set(offered)) < len(offered) or (default is not None and not case.body.get("free_text")):
            return False
    if case.operation.label == RECORDS and not negative and _is_no_result(case.body):
        return False
    return case.operation.label != MENDS or not negative


def _is_no_result(body: Any) -> bool:
    """Whether a result of `verify` contradicts itself, or is covered further than checked, or is too long."""
    found = bool(body.get("findings")) or body.get("first_bad_seq") is not None
    contradicts = (body["ok"] and found) or body.get("covered_upto", 0) > body["events"]
    return contradicts or len(json.dumps(body)) > FITTING_BYTES


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    with Path(os.environ[ANSWERS_FILE]).open("a") as answers:
        answers.write(f"{response.status_code} {case.operation.label}\n")
