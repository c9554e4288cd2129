"""Scripts rely on the numbers: every kind of answer ends in its documented exit code."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors.cli_error import exit_of, from_problem
from infra.errors.exit_codes import Exit
from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import OTHER_ID, TASK_ID, task_read

TASK = f"/tasks/{TASK_ID}"


def problem(status: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"type": "urn:towpath:problem:x", "title": "X", "status": status, "detail": "do Y", **more}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Exit.USAGE),
        (401, Exit.NOT_ALLOWED),
        (403, Exit.NOT_ALLOWED),
        (404, Exit.NOT_FOUND),
        (409, Exit.CONFLICT),
        (422, Exit.USAGE),
        (500, Exit.ERROR),
        (503, Exit.ERROR),
        (504, Exit.TIMED_OUT),
        (507, Exit.ERROR),
    ],
)
def test_status_becomes_exit_code(status: int, expected: Exit) -> None:
    error = from_problem(*problem(status))
    assert error.exit is expected
    assert "do Y" in str(error)


def test_an_answer_that_is_no_problem_still_says_its_status() -> None:
    assert "HTTP 502" in str(from_problem(502, None))


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        ("succeeded", None, Exit.OK),
        ("failed", "exit", Exit.TASK_FAILED),
        ("canceled", None, Exit.TASK_FAILED),
        ("submit-failed", "no-runner", Exit.TASK_FAILED),
        ("submit-failed", "workspace-locked", Exit.CONFLICT),
        ("submit-failed", "workspace-changed", Exit.CONFLICT),
        ("canceled", "lock-wait-timeout", Exit.CONFLICT),
    ],
)
def test_end_of_a_task_becomes_exit_code(status: str, reason: str | None, expected: Exit) -> None:
    assert exit_of(task_read(status=status, reason=reason)) is expected


@pytest.mark.parametrize(("status", "code"), [(403, 4), (404, 5), (409, 6), (422, 2), (500, 1)])
def test_the_command_ends_with_it(api: FakeApi, installed: Towpath, status: int, code: int) -> None:
    api.answers[f"GET {TASK}"] = problem(status)
    done = installed("task", TASK_ID)
    assert (done.returncode, done.stdout) == (code, "")
    assert "do Y" in done.stderr


def test_a_caller_that_is_not_known(api: FakeApi, towpath: Towpath) -> None:
    api.answers[f"GET {TASK}"] = problem(401)
    without = towpath("task", TASK_ID)
    assert (without.returncode, without.stdout) == (4, "")
    assert "set TOWPATH_TOKEN" in without.stderr
    wrong = towpath("task", TASK_ID, TOWPATH_TOKEN="wrong")
    assert wrong.returncode == 4
    assert "does not know the token in TOWPATH_TOKEN" in wrong.stderr
    assert "TOWPATH_API_TOKENS" not in without.stderr + wrong.stderr


def test_a_refused_lock_names_its_holders(api: FakeApi, towpath: Towpath) -> None:
    holders = [{"task_id": OTHER_ID, "attempt": 2, "token": 41}]
    api.answers[f"POST {TASK}/dispatch"] = problem(409, holders=holders, task_id=TASK_ID)
    done = towpath("dispatch", TASK_ID)
    assert done.returncode == 6
    assert f"task {OTHER_ID} attempt 2 holds, token 41" in done.stderr


def test_nothing_listens(installed: Towpath) -> None:
    done = installed("tasks", TOWPATH_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert "towpath up" in done.stderr
    assert "--url" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("tasks", "--no-such-option"),
        ("tasks", "-o", "yaml"),
        ("tasks", "--since", "soon"),
        ("run", "--shared", "--", "true"),
        ("run", "--env", "NOVALUE", "--", "true"),
        ("run",),
        ("task", "xyz"),
        ("runner", "--listen", "nowhere"),
    ],
)
def test_usage(towpath: Towpath, arguments: tuple[str, ...]) -> None:
    done = towpath(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_a_setting_that_cannot_be_used_is_named_without_its_value(towpath: Towpath) -> None:
    done = towpath("tasks", TOWPATH_API_TOKENS="boss:hunter22")
    assert done.returncode == 2
    assert "TOWPATH_API_TOKENS" in done.stderr
    assert "hunter22" not in done.stderr


def test_the_api_refuses_to_listen_to_everybody_without_tokens(installed: Towpath) -> None:
    done = installed("api", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "TOWPATH_API_TOKENS" in done.stderr


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 3), ("canceled", 3)])
def test_wait_ends_as_the_task_did(api: FakeApi, towpath: Towpath, status: str, code: int) -> None:
    api.answers[f"GET {TASK}"] = (200, task_read(status=status))
    assert towpath("wait", TASK_ID).returncode == code


def test_wait_times_out(api: FakeApi, towpath: Towpath) -> None:
    api.answers[f"GET {TASK}"] = (200, task_read(status="running"))
    done = towpath("wait", TASK_ID, "--timeout", "0.2s")
    assert (done.returncode, done.stdout) == (8, "")
    assert "0.2 s" in done.stderr
