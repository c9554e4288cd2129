"""`towpath cancel` and `dispatch` on many tasks: what is asked, what is sent, what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.infra.cli.conftest import Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.screen import CTRL_C, on_screen
from tests.unit.infra.cli.shapes import task_read


def _task(number: int, **more: Any) -> dict[str, Any]:
    return task_read(id=f"01990000-0000-7000-8000-{number:012}", title=f"job {number}", **more)


def _serve(api: FakeApi, tasks: list[dict[str, Any]], outcomes: list[str]) -> None:
    counted = {"count": len(tasks), "capped": False, "by_status": {}}
    api.answers["GET /tasks/count"] = (200, counted)
    api.answers["GET /tasks"] = (200, {"items": tasks, "next_cursor": None})
    results = [
        {
            "id": task["id"],
            "attempt": task["attempt"],
            "outcome": "refused" if "-" in outcome else outcome,
            "code": outcome if "-" in outcome else None,
            "detail": "look again" if "-" in outcome else None,
        }
        for task, outcome in zip(tasks, outcomes, strict=True)
    ]
    api.answers["POST /tasks/bulk"] = (200, {"items": results})


def test_selected_tasks_are_canceled_at_the_attempt_that_was_listed(api: FakeApi, towpath: Towpath) -> None:
    _serve(api, [_task(1, status="running", attempt=2), _task(2, status="queued")], ["recorded", "unchanged"])
    done = towpath("cancel", "-w", "shop", "--label", "a=b", "--label", "c=d", "--reason", "night", "--yes")
    assert (done.returncode, done.stderr) == (0, "1 recorded, 1 unchanged, 0 refused\n")
    assert [line.split()[0][-2:] for line in done.stdout.splitlines()] == ["01", "02"]
    (counted,), (listed,) = api.asked("GET", "/tasks/count"), api.asked("GET", "/tasks")
    wanted = [("status", one) for one in ("created", "dispatched", "queued", "running")]
    assert counted.query == [*wanted, ("workspace", "shop"), ("label", "a:b"), ("label", "c:d")]
    assert listed.query[: len(counted.query)] == counted.query
    (sent,) = api.asked("POST", "/tasks/bulk")
    assert sent.body["reason"] == "night"
    assert [(one["id"][-1], one["attempt"]) for one in sent.body["items"]] == [("1", 2), ("2", 1)]


def test_a_refusal_is_a_conflict_and_says_why(api: FakeApi, towpath: Towpath) -> None:
    _serve(api, [_task(1, status="failed"), _task(2, status="failed")], ["not-changed", "recorded"])
    done = towpath("dispatch", "--status", "failed", "--reason", "exit", "-y", "-o", "jsonl")
    assert done.returncode == 6
    assert done.stderr == "1 recorded, 0 unchanged, 1 refused\n"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["outcome"], one["code"], one["title"]) for one in rows] == [
        ("refused", "not-changed", "job 1"),
        ("recorded", None, "job 2"),
    ]
    assert ("reason", "exit") in api.asked("GET", "/tasks/count")[0].query


def test_without_a_terminal_and_without_yes_nothing_is_done(api: FakeApi, towpath: Towpath) -> None:
    _serve(api, [_task(n, status="failed") for n in range(7)], ["recorded"] * 7)
    done = towpath("dispatch", "--status", "failed")
    assert done.returncode == 2
    assert "dispatches 7 tasks: 7 failed" in done.stderr
    assert "and 2 more" in done.stderr
    assert "--yes" in done.stderr
    assert api.asked("POST", "/tasks/bulk") == []


def test_ctrl_c_at_the_question_does_nothing(api: FakeApi) -> None:
    _serve(api, [_task(1, status="failed")], ["recorded"])
    code, shown = on_screen(["dispatch", "--status", "failed"], environment(api), [("[y/N]: ", CTRL_C)])
    assert code == 130
    assert "Aborted" not in shown
    assert api.asked("POST", "/tasks/bulk") == []


def test_more_than_a_hundred_go_in_parts_and_a_failure_says_how_far_it_came(
    api: FakeApi, towpath: Towpath
) -> None:
    tasks = [_task(n, status="running") for n in range(150)]
    _serve(api, tasks, ["recorded"] * 150)
    api.answers["POST /tasks/bulk"][1]["items"] = api.answers["POST /tasks/bulk"][1]["items"][:100]
    done = towpath("cancel", "--status", "running", "--yes")
    assert [len(one.body["items"]) for one in api.asked("POST", "/tasks/bulk")] == [100, 50]
    assert done.returncode == 1, "an answer that does not fit"
    api.answers["POST /tasks/bulk"] = (503, {"title": "x", "status": 503, "detail": "busy"})
    away = towpath("cancel", "--status", "running", "--yes")
    assert away.returncode == 1
    assert "0 of 150 tasks are done" in away.stderr
    assert "of the next 100 some may be" in away.stderr


def test_too_many_are_refused_and_none_is_fine(api: FakeApi, towpath: Towpath) -> None:
    _serve(api, [], [])
    none = towpath("cancel", "--workspace", "shop", "--yes")
    assert (none.returncode, none.stderr) == (0, "no task is selected; nothing done\n")
    api.answers["GET /tasks/count"] = (200, {"count": 10_000, "capped": True, "by_status": {}})
    many = towpath("cancel", "--workspace", "shop", "--yes")
    assert many.returncode == 2
    assert "more than 10000 tasks" in many.stderr
    assert api.asked("POST", "/tasks/bulk") == []


@pytest.mark.parametrize(
    "given", [("cancel",), ("dispatch",), ("cancel", "0199", "--status", "running"), ("cancel", "--yes")]
)
def test_an_id_or_a_selection_is_given_and_not_both(
    api: FakeApi, towpath: Towpath, given: tuple[str]
) -> None:
    done = towpath(*given)
    assert done.returncode == 2
    assert "give a task's id, or options" in done.stderr
    assert api.seen == []


SELECTING = (
    "--search",
    "night build",
    "--lock",
    "waiting",
    "--min-attempt",
    "2",
    "--before",
    "2026-03-02T00:00:00Z",
)
SELECTED = [
    ("created_before", "2026-03-02T00:00:00+00:00"),
    ("q", "night build"),
    ("lock", "waiting"),
    ("min_attempt", "2"),
]


def test_a_list_and_both_commands_select_by_the_same_words(api: FakeApi, towpath: Towpath) -> None:
    _serve(api, [_task(1, status="dispatched")], ["recorded"])
    listed = towpath("tasks", *SELECTING, "--exit-code", "3", "--oldest")
    assert listed.returncode == 0, listed.stderr
    for command in ("cancel", "dispatch"):
        done = towpath(command, *SELECTING, "--yes")
        assert done.returncode == 0, done.stderr
    first, *others = api.asked("GET", "/tasks")
    assert [pair for pair in first.query if pair in SELECTED] == SELECTED
    assert {("exit_code", "3"), ("order", "oldest")} <= set(first.query)
    for asked in (*others, *api.asked("GET", "/tasks/count")):
        assert [pair for pair in asked.query if pair in SELECTED] == SELECTED
    assert towpath("tasks", "--lock", "free").returncode == 2
