"""What a client may ask for; what cannot be stored is refused where it enters."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from domain.task_spec import TaskSpec


def spec(**fields: Any) -> TaskSpec:
    return TaskSpec.model_validate({"command": ["make"], **fields})


def test_only_the_command_is_required() -> None:
    assert spec().execution_mode == "no-workspace"
    assert (spec().pool, spec().shown_title) == ("default", "make")


def test_naming_a_workspace_asks_for_its_lock() -> None:
    asked = spec(workspace="acme-api")
    assert (asked.execution_mode, asked.lock_mode, asked.on_conflict) == (
        "shared-workspace",
        "exclusive",
        "wait",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"execution_mode": "shared-workspace"},
        {"execution_mode": "no-workspace", "workspace": "acme-api"},
        {"lock_paths": ["src"]},
        {"command": []},
        {"command": [""]},
        {"command": "make"},
        {"workspace": "a.b"},
        {"pool": "*"},
        {"id": "t1"},
        {"env": {"1A": "x"}},
        {"timeout_seconds": 0},
        {"timeout_seconds": float("inf")},
        {"timeout_seconds": float("nan")},
        {"workspace": "acme", "lock_wait_seconds": 0},
        {"workspace": "acme", "lock_wait_seconds": 1e9},
        {"workspace": "acme", "lock_wait_seconds": float("nan")},
        {"workspace": "acme", "on_conflict": "reject", "lock_wait_seconds": 5},
        {"lock_wait_seconds": 5},
        {"shell": True},
    ],
)
def test_what_does_not_fit(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        spec(**fields)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize("field", ["command", "lock_paths", "env", "labels"])
def test_text_that_cannot_be_stored_is_refused(field: str, text: str) -> None:
    value: object = ["x", text] if field in ("command", "lock_paths") else {"NAME": text}
    fields = {"workspace": "acme-api", field: value}
    with pytest.raises(ValidationError):
        spec(**fields)


def test_what_cannot_be_stored_is_replaced_in_a_title() -> None:
    assert spec(title="\ude00 built\x00").title == "\ufffd built\ufffd"
