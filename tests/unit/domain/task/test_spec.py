"""What a client may ask for; what cannot be stored is refused where it enters."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest
from pydantic import ValidationError

from domain.task.spec import TaskSpec


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
        {"timeout_pauses": True},
        {"timeout_seconds": 5, "timeout_pauses": "yes"},
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


@pytest.mark.parametrize(
    "given",
    [
        {"command": ["x" * 70_000]},
        {"command": ["/" + "x" * 256]},
        {"command": ["/x" * 2048]},
        {"command": ["é" * 128]},
        {"command": ["true", "x" * 131_072]},
        {"command": ["true", "é" * 65_536]},
        {"command": ["true"], "env": {"A": "x" * 131_070}},
        {"command": ["true"], "secrets": {"A": "x" * 131_070}},
        {"command": ["true"] + ["x" * 131_071] * 9},
        {"command": ["true"], "env": {"A=B": "c"}},
        {"command": ["true"], "env": {"": "c"}},
        {"command": ["true"], "env": {"A\x00": "c"}},
        {"command": ["true"], "env": {"A\n": "c"}},
        {"command": ["true"], "env": {"A": "c\x00"}},
        {"command": ["tr\x00ue"]},
    ],
    ids=lambda given: str(given)[:40],
)
def test_what_no_host_can_start_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TaskSpec.model_validate(given)


def test_the_largest_that_a_host_can_start_is_started_here() -> None:
    spec = TaskSpec(command=["/" + "/".join(["x"] * 2047), "y" * 131_071], env={"A": "z" * 131_069})
    subprocess.run(["true", spec.command[1]], env={**spec.env, "PATH": os.environ["PATH"]}, check=True)
    with pytest.raises(FileNotFoundError):  # short enough to be looked up
        subprocess.run([spec.command[0]], check=True)
