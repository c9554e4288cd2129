"""Data on stdout in every form, words on stderr, and tables that fit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import OTHER_ID, TASK_ID, event, task_read

HOLDER = {
    "task_id": TASK_ID,
    "attempt": 1,
    "runner_id": "runner-1",
    "paths": ["src/api"],
    "mode": "shared",
    "token": 41,
    "since": "2026-03-01T12:00:00Z",
}
WAITER = {
    "task_id": OTHER_ID,
    "attempt": 1,
    "paths": [],
    "mode": "exclusive",
    "position": 1,
    "blocked_by": [TASK_ID],
    "since": "2026-03-01T12:00:00Z",
}
RUNNER = {
    "id": "runner-1",
    "pools": ["default", "gpu"],
    "host": "box",
    "capacity": 4,
    "running_attempts": [{"task_id": TASK_ID, "attempt": 1}],
    "last_heartbeat": "2026-03-01T12:00:00Z",
    "state": "alive",
    "awaiting_operator": [],
    "instance": "5f0c9a11",
    "conflict": [],
}
WORKSPACE = {"id": "acme-api", "root": "/srv/acme", "on_runner_lost": "fail", "seq": 1, "version": 1}
TRAIL = [event("created"), event("granted", "lock"), event("failed"), event("released", "lock")]
TASKS = {f"GET /tasks/{one['id']}": one for one in (task_read(), task_read(id=OTHER_ID))}
LISTS = {
    ("tasks",): ("/tasks", [task_read(), task_read(id=OTHER_ID, status="failed")]),
    ("locks",): ("/locks", [{"workspace": "acme-api", "holders": [HOLDER], "waiters": [WAITER]}]),
    ("runners",): ("/runners", [RUNNER]),
    ("workspaces",): ("/workspaces", [WORKSPACE]),
    ("trail", TASK_ID): (f"/tasks/{TASK_ID}/events", TRAIL),
}


def page(items: list[object], cursor: str | None = None) -> tuple[int, dict[str, object]]:
    return 200, {"items": items, "next_cursor": cursor}


@pytest.mark.parametrize(("command", "answer"), LISTS.items(), ids=lambda value: value[0])
def test_every_list_has_every_form(
    api: FakeApi, towpath: Towpath, command: tuple[str, ...], answer: tuple[str, list[object]]
) -> None:
    path, items = answer
    api.answers[f"GET {path}"] = page(items)
    api.answers.setdefault(f"GET /tasks/{TASK_ID}", (200, task_read()))
    as_json, as_lines, table = (towpath(*command, "-o", form) for form in ("json", "jsonl", "table"))
    assert json.loads(as_json.stdout) == items
    assert [json.loads(line) for line in as_lines.stdout.splitlines()] == items
    for done in (as_json, as_lines, table):
        assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in table.stdout
    lines = table.stdout.splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert len(lines) >= 1 + len(items)


@pytest.mark.parametrize(("command", "answer"), LISTS.items(), ids=lambda value: value[0])
def test_empty_lists_are_empty(
    api: FakeApi, towpath: Towpath, command: tuple[str, ...], answer: tuple[str, list[object]]
) -> None:
    api.answers[f"GET {answer[0]}"] = page([])
    assert json.loads(towpath(*command, "-o", "json").stdout) == []
    assert towpath(*command, "-o", "jsonl").stdout == ""


def test_nothing_is_cut_or_folded_in_a_pipe(api: FakeApi, towpath: Towpath) -> None:
    long = task_read(title="t" * 300, workspace="w" * 20, execution_mode="shared-workspace")
    api.answers["GET /tasks"] = page([long])
    head, row = towpath("tasks").stdout.splitlines()
    assert head.split() == ["ID", "STATUS", "WORKSPACE", "CREATED", "TITLE"]
    assert TASK_ID in row
    assert row.endswith("t" * 300)


def test_others_data_does_not_steer_the_terminal(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = page([task_read(title="\x1b[2Jgone\nnext [bold]x")])
    assert "\x1b" not in towpath("tasks").stdout
    assert "[2Jgone next [bold]x" in towpath("tasks", COLUMNS="160").stdout


STEERING = "\x7f\x85\x9b31m\u202ecba\u2066\u200f\u2028\u2029\xad\ufeff\U000e0041"


def test_no_character_steers_the_terminal_or_breaks_a_row(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = page([task_read(title=f"a{STEERING}b")])
    shown = towpath("tasks", COLUMNS="200").stdout
    assert not set(STEERING) - set("31mcba") & set(shown)
    assert len(shown.splitlines()) == 2


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_json_does_not_steer_the_terminal_either(api: FakeApi, towpath: Towpath, form: str) -> None:
    api.answers["GET /tasks"] = page([task_read(title=f"ä{STEERING}", labels={STEERING: "x"})])
    shown = towpath("tasks", "-o", form).stdout
    assert not set(STEERING) - set("31mcba") & set(shown)
    assert "ä" in shown
    found = json.loads(shown) if form == "json" else [json.loads(line) for line in shown.splitlines()]
    assert (found[0]["title"], found[0]["labels"]) == (f"ä{STEERING}", {STEERING: "x"})


def test_times_are_relative_in_tables_only(api: FakeApi, towpath: Towpath) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=5, seconds=30)).isoformat()
    task = task_read(created_at=at)
    api.answers["GET /tasks"] = page([task])
    assert "5 min ago" in towpath("tasks").stdout
    assert json.loads(towpath("tasks", "-o", "json").stdout)[0]["created_at"] == task["created_at"]


def test_lone_surrogates_survive_as_json(api: FakeApi, installed: Towpath) -> None:
    api.answers["GET /tasks"] = page([task_read()])
    api.answers["GET /tasks"][1]["items"][0]["title"] = "\udc80é"
    assert json.loads(installed("tasks", "-o", "json").stdout)[0]["title"] == "\udc80é"


def test_more_pages_are_fetched_and_what_is_left_is_said(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = page([task_read()], cursor="next")
    done = towpath("tasks", "-n", "2", "-o", "jsonl")
    assert len(done.stdout.splitlines()) == 2
    assert "--limit" in done.stderr
    assert ("cursor", "next") in api.asked("GET", "/tasks")[1].query


def test_filters_are_sent(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = page([])
    arguments = "-s failed -s canceled -w acme --pool gpu --label team=a=b --since 2026-03-01T12:00:00Z"
    assert towpath("tasks", *arguments.split(), TOWPATH_TOKEN="t0ken").returncode == 0
    (asked,) = api.asked("GET", "/tasks")
    assert sorted(asked.query) == [
        ("created_after", "2026-03-01T12:00:00+00:00"),
        ("label", "team:a=b"),
        ("limit", "50"),
        ("pool", "gpu"),
        ("status", "canceled"),
        ("status", "failed"),
        ("workspace", "acme"),
    ]
    assert asked.headers["authorization"] == "Bearer t0ken"


def test_one_task(api: FakeApi, towpath: Towpath, installed: Towpath) -> None:
    task = task_read(status="failed", exit_code=2, output_tail="line 1\nline 2\n", labels={"a": "b"})
    api.answers[f"GET /tasks/{TASK_ID}"] = (200, task)
    assert json.loads(towpath("task", TASK_ID, "-o", "json").stdout) == task
    assert json.loads(installed("task", TASK_ID, "-o", "jsonl").stdout) == task
    sheet = towpath("task", TASK_ID).stdout
    assert "line 1\nline 2\n" in sheet
    assert "a=b" in sheet


def test_an_abbreviated_id_is_looked_up(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = page([task_read(), task_read(id=OTHER_ID)])
    api.answers[f"GET /tasks/{TASK_ID}"] = (200, task_read())
    assert towpath("task", TASK_ID[-12:].upper()).returncode == 0
    asked = dict(api.asked("GET", "/tasks")[0].query)
    assert asked == {"id": TASK_ID[-12:], "limit": "50"}, "the server looks among all tasks"
    several = towpath("task", TASK_ID[:8])
    assert several.returncode == 2
    assert "fits 2 tasks" in several.stderr
    assert OTHER_ID in several.stderr
    assert towpath("task", "ffffffff").returncode == 5
    api.answers["GET /tasks"] = (200, {"items": [task_read()] * 50, "next_cursor": "more"})
    assert "fits more than 50 tasks" in towpath("task", TASK_ID[:8]).stderr


def test_commands_on_a_task(api: FakeApi, towpath: Towpath) -> None:
    for verb in ("dispatch", "cancel"):
        api.answers[f"POST /tasks/{TASK_ID}/{verb}"] = (202, task_read(status="dispatched"))
        assert json.loads(towpath(verb, TASK_ID, "-o", "json").stdout)["status"] == "dispatched"


def test_release_warns_while_a_process_may_run(api: FakeApi, towpath: Towpath) -> None:
    released = {"task_id": TASK_ID, "released_paths": ["."], "process_may_run": True}
    api.answers[f"POST /tasks/{TASK_ID}/locks/release"] = (200, released)
    done = towpath("release", TASK_ID, "--reason", "stuck", "-o", "json")
    assert json.loads(done.stdout) == released
    assert "may still be writing" in done.stderr
    assert api.seen[-1].body == {"reason": "stuck"}


@pytest.mark.parametrize("given", ["link", "sub/../real", "real//", "./real", "real/."])
def test_a_directory_is_registered_by_its_one_name(
    api: FakeApi, towpath: Towpath, tmp_path: Path, given: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    api.answers["PUT /workspaces/acme-api"] = (201, WORKSPACE)
    done = towpath("workspaces", "add", "acme-api", f"{tmp_path}/{given}")
    assert done.returncode == 0
    assert api.asked("PUT", "/workspaces/acme-api")[0].body["root"] == str((tmp_path / "real").resolve())


def test_a_directory_of_another_host_is_named_by_its_text(api: FakeApi, towpath: Towpath) -> None:
    api.answers["PUT /workspaces/acme-api"] = (201, WORKSPACE)
    assert towpath("workspaces", "add", "acme-api", "/nowhere//here/../there/").returncode == 0
    assert api.asked("PUT", "/workspaces/acme-api")[0].body["root"] == "/nowhere/there"


def test_a_void_registration_is_named_beside_the_table(api: FakeApi, towpath: Towpath) -> None:
    void = {"seq": 7, "event": "registered", "root": "/srv/b", "by": "ann", "time": "", "reason": "in-use"}
    api.answers["GET /workspaces"] = (200, {"items": [{**WORKSPACE, "void": void}], "next_cursor": None})
    done = towpath("workspaces")
    assert "registration at /srv/b (event 7) is void: in-use" in done.stderr


def test_what_a_second_registration_changes_is_named(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /workspaces"] = (200, {"items": [{**WORKSPACE, "root": "/old"}], "next_cursor": None})
    api.answers["PUT /workspaces/acme-api"] = (200, WORKSPACE)
    done = towpath("workspaces", "add", "acme-api", WORKSPACE["root"])
    assert f"changed root: was /old, is {WORKSPACE['root']}" in done.stderr
    assert "on runner lost" not in done.stderr


def test_workspaces_are_added_and_removed(api: FakeApi, towpath: Towpath) -> None:
    api.answers["PUT /workspaces/acme-api"] = (201, WORKSPACE)
    api.answers["DELETE /workspaces/acme-api"] = (204, None)
    done = towpath("workspaces", "add", "acme-api", "/srv/acme", "--on-runner-lost", "hold", "-o", "json")
    assert json.loads(done.stdout) == WORKSPACE
    assert api.seen[-1].body == {"root": "/srv/acme", "on_runner_lost": "hold"}
    removed = towpath("workspaces", "remove", "acme-api", "-o", "jsonl")
    assert json.loads(removed.stdout) == {"id": "acme-api", "removed": True}


def test_locks_that_wait_for_an_operator_are_said_beside_the_runners(api: FakeApi, towpath: Towpath) -> None:
    kept = {"state": "lost", "awaiting_operator": RUNNER["running_attempts"]}
    api.answers["GET /runners"] = page([RUNNER | kept])
    done = towpath("runners")
    assert "lost" in done.stdout
    assert f"  {TASK_ID}\n" in done.stderr
    assert "towpath release" in done.stderr


def test_runners_that_share_an_id_are_said_beside_the_runners(api: FakeApi, towpath: Towpath) -> None:
    at = "2026-03-01T12:00:00Z"
    twins = [{"instance": name, "host": f"host-{name}", "last_heartbeat": at} for name in ("a", "b")]
    api.answers["GET /runners"] = page([RUNNER | {"conflict": twins}])
    said = towpath("runners").stderr
    assert f"several runners have the id {RUNNER['id']}: host-a (a), host-b (b)." in said


def test_a_runner_may_hold_more_than_it_runs_at_once(api: FakeApi, towpath: Towpath) -> None:
    held = [{"task_id": f"t-{number}", "attempt": 1} for number in range(6)]
    api.answers["GET /runners"] = page([RUNNER | {"running_attempts": held, "capacity": 4}])
    head, row = towpath("runners").stdout.splitlines()
    assert "HOLDS  AT ONCE" in head
    assert re.search(r" 6 +4 ", row)
