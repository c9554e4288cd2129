"""`--at`, `why`, `events` and `--export`: what is asked of the API, and what becomes of the answers."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import TASK_ID, event, task_read

EVENTS = [{**event(name), "seq": seq} for seq, name in enumerate(("created", "queued", "failed"), start=5)]


def page(items: list[object], cursor: str | None = None) -> tuple[int, dict[str, object]]:
    return 200, {"items": items, "next_cursor": cursor}


def test_a_moment_is_a_sequence_a_time_or_how_long_ago(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /locks"] = page([])
    api.answers["GET /workspaces/acme/locks"] = 200, {"workspace": "acme", "holders": [], "waiters": []}
    api.answers[f"GET /tasks/{TASK_ID}"] = 200, task_read()
    assert towpath("locks", "--at", "17").returncode == 0
    assert towpath("locks", "acme", "--at", "2026-03-01T12:00:00Z").returncode == 0
    assert towpath("task", TASK_ID, "--at", "10m").returncode == 0
    for none in ("soon", "2026-03-01T12:00:00", "9999999999d"):
        refused = towpath("task", TASK_ID, "--at", none)
        assert refused.returncode == 2
        assert "7d" in refused.stderr
    assert ("at", "17") in api.asked("GET", "/locks")[0].query
    assert ("at", "2026-03-01T12:00:00+00:00") in api.asked("GET", "/workspaces/acme/locks")[0].query
    for day in ("today", "yesterday", "2026-03-01"):
        assert towpath("task", TASK_ID, "--at", day).returncode == 0
    asked = dict(api.asked("GET", f"/tasks/{TASK_ID}")[0].query)["at"]
    assert 500 < (datetime.now(UTC) - datetime.fromisoformat(asked)).total_seconds() < 700


def test_what_was_then_is_shown_with_moments(api: FakeApi, towpath: Towpath) -> None:
    since = "2026-03-01T12:00:00.123456Z"
    holder = {"task_id": TASK_ID, "attempt": 1, "runner_id": "r1", "paths": [], "mode": "exclusive"}
    entry = {"workspace": "acme", "holders": [{**holder, "token": 7, "since": since}], "waiters": []}
    api.answers["GET /locks"] = page([entry])
    api.answers[f"GET /tasks/{TASK_ID}"] = 200, task_read(created_at=since)
    for command in (("locks",), ("task", TASK_ID)):
        assert " ago" in towpath(*command).stdout
        then = towpath(*command, "--at", "17", TZ="UTC").stdout
        assert " ago" not in then
        assert "2026-03-01 12:00:00.123" in then


def test_why_is_a_sentence(api: FakeApi, towpath: Towpath) -> None:
    answer = {"task_id": TASK_ID, "sentence": "it waits.\x1b[31m", "stage": "ended"}
    api.answers[f"GET /tasks/{TASK_ID}/why"] = 200, answer
    assert towpath("why", TASK_ID).stdout == "it waits. [31m\n"
    assert json.loads(towpath("why", TASK_ID, "-o", "json").stdout) == answer


def test_events_are_filtered_by_the_api(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /events"] = page(EVENTS)
    ended = towpath(
        "events", "-t", TASK_ID, "-w", "acme", "-e", "failed", "-a", "runner", "--from", "3", "--to", "9"
    )
    assert ended.returncode == 0, ended.stderr
    assert "failed" in ended.stdout
    query = dict(api.asked("GET", "/events")[0].query)
    assert query == {
        "task_id": TASK_ID, "workspace": "acme", "event": "failed", "actor": "runner", "from": "3", "to": "9",
        "limit": "100",
    }  # fmt: skip


def test_a_list_that_is_cut_says_so(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /events"] = page(EVENTS, "more")
    assert "behind 7" in towpath("events", "-n", "3").stderr
    assert "behind" not in towpath("events", "-n", "3", "-o", "json").stdout


def test_json_lines(api: FakeApi, towpath: Towpath, tmp_path: Path) -> None:
    api.answers["GET /events"] = page(EVENTS)
    file = tmp_path / "events.jsonl"
    ended = towpath("events", "--export", str(file))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", f"3 events written to {file}\n")
    assert [json.loads(line) for line in file.read_text().splitlines()] == EVENTS
    assert list(tmp_path.iterdir()) == [file]


def test_parquet(api: FakeApi, towpath: Towpath, tmp_path: Path) -> None:
    api.answers[f"GET /tasks/{TASK_ID}/events"] = page(EVENTS)
    file = tmp_path / "trail.parquet"
    assert towpath("trail", TASK_ID, "--export", str(file)).returncode == 0
    rows = pyarrow.parquet.read_table(file).to_pylist()
    assert [{**row, "time": None, "data": json.loads(row["data"])} for row in rows] == [
        {**one, "time": None} for one in EVENTS
    ]
    assert rows[0]["time"] == datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


def test_an_export_without_events_is_an_empty_file(api: FakeApi, towpath: Towpath, tmp_path: Path) -> None:
    api.answers["GET /events"] = page([])
    for name in ("a.jsonl", "a.parquet"):
        assert towpath("events", "--export", str(tmp_path / name)).returncode == 0
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").num_rows == 0
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_a_file_that_cannot_be_written_leaves_nothing(api: FakeApi, towpath: Towpath, tmp_path: Path) -> None:
    api.answers["GET /events"] = page(EVENTS)
    assert towpath("events", "--export", str(tmp_path / "no" / "a.jsonl")).returncode == 1
    assert towpath("events", "--export", str(tmp_path / "a.csv")).returncode == 2
    api.answers["GET /events"] = 503, {"title": "busy", "detail": "later"}
    assert towpath("events", "--export", str(tmp_path / "a.jsonl")).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_without_pyarrow_parquet_says_what_to_install(
    api: FakeApi, towpath: Towpath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = towpath("events", "--export", str(tmp_path / "a.parquet"))
    assert ended.returncode == 2
    assert "towpath[parquet]" in ended.stderr
    assert api.seen == []
