"""Tables on terminals of several widths: nothing is cut, no column is a sliver, narrow rows are blocks."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, TOWPATH, Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import TIME, event, task_read

WIDTHS = (60, 80, 120, 200)
SPACE = "acme-payments-api"
IDS = [f"0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f{number:04x}" for number in range(4)]
TITLES = [
    "Nightly integration run of the payments service against staging",
    "\u30c7\u30fc\u30bf\u53d6\u308a\u8fbc\u307f\u30b8\u30e7\u30d6 \u6771\u4eac" * 2,
    "\U0001f680 deploy u\u0308n\u00efcode e\u0301",
    "one-word-" * 15,
]
PATHS = ["src/payments/providers/stripe/webhooks", "tests/integration/payments/providers"]
TASKS = [
    task_read(id=one, title=title, status=status, reason=reason, exit_code=code, workspace=SPACE)
    for one, title, status, reason, code in zip(
        IDS,
        TITLES,
        ("failed", "running", "submit-failed", "failed"),
        ("exit", None, "no-runner", "timeout"),
        (137, None, None, -9),
        strict=True,
    )
]
CLAIM = {"attempt": 1, "runner_id": "runner-8cb4de95a6", "paths": PATHS, "mode": "exclusive", "since": TIME}
LOCKS = {
    "workspace": SPACE,
    "holders": [{**CLAIM, "task_id": IDS[0], "token": 41}],
    "waiters": [{**CLAIM, "task_id": IDS[1], "position": 1, "blocked_by": [IDS[0]]}],
}
EVENTS = [
    event("created", task_id=IDS[0], title=TITLES[0], command=["make", "-C", PATHS[0]]),
    event("granted", "lock", task_id=IDS[1], paths=PATHS),
    event("failed", task_id=IDS[3], message="did not end within 3600 s"),
]


@pytest.fixture
def answers(api: FakeApi) -> FakeApi:
    """An API with long names in everything."""
    for path, items in (("/tasks", TASKS), ("/locks", [LOCKS]), ("/events", EVENTS)):
        api.answers[f"GET {path}"] = (200, {"items": items, "next_cursor": None})
    api.answers[f"GET /tasks/{IDS[0]}/events"] = (200, {"items": EVENTS, "next_cursor": None})
    for task in TASKS:
        api.answers[f"GET /tasks/{task['id']}"] = (200, task)
    return api


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal of so many columns, for commands in this process."""

    def terminal_width(_: Any) -> int:
        return int(request.param)

    monkeypatch.setattr("infra.cli.output.formats.terminal_width", terminal_width)
    monkeypatch.setattr("infra.cli.output.event_text.terminal_width", terminal_width)
    return iter([request.param]).__next__()


def letters(text: str) -> str:
    """What is left of a text however it was folded."""
    return "".join(text.split())


@pytest.mark.parametrize(
    "command", [("tasks",), ("locks",), ("events",), ("trail", IDS[0])], ids=lambda one: one[0]
)
def test_every_width_shows_everything(
    answers: FakeApi, towpath: Towpath, width: int, command: tuple[str, ...]
) -> None:
    from rich.cells import cell_len

    shown = towpath(*command).stdout
    assert max(map(cell_len, shown.splitlines())) <= width
    assert "\u2026" not in shown
    assert not any(one in shown for one in IDS)
    if command != ("trail", IDS[0]):
        assert IDS[0][-12:] in shown


def test_narrow_rows_are_blocks_and_wide_ones_are_lines(
    answers: FakeApi, towpath: Towpath, width: int
) -> None:
    for command, titles in (("tasks", TITLES), ("locks", TITLES[:2]), ("events", TITLES[:2])):
        shown = towpath(command).stdout
        if width == WIDTHS[0]:
            assert shown.startswith(("id ", "workspace ", "seq "))
            assert all(letters(title) in letters(shown) for title in titles)
        if width == WIDTHS[-1]:
            assert shown.startswith(("ID ", "WORKSPACE ", "SEQ "))
            assert letters(TITLES[0])[:20] in letters(shown)


@pytest.mark.parametrize("width", [80], indirect=True)
def test_a_usual_terminal_shows_a_queue_as_a_table(api: FakeApi, towpath: Towpath, width: int) -> None:
    claim = {**CLAIM, "paths": []}
    waiters = [
        {**claim, "task_id": one, "position": number, "blocked_by": IDS[:number]}
        for number, one in enumerate(IDS[1:], start=1)
    ]
    locks = {"workspace": "shop", "holders": [{**claim, "task_id": IDS[0], "token": 4}], "waiters": waiters}
    api.answers["GET /locks"] = (200, {"items": [locks], "next_cursor": None})
    for one in IDS:
        api.answers[f"GET /tasks/{one}"] = (200, task_read(id=one, title="agent"))
    first, *others = (one[-12:] for one in IDS)
    lines = towpath("locks").stdout.splitlines()
    assert lines[0].split() == ["WORKSPACE", "STATE", "TASK", "TITLE", "PATHS", "SINCE"]
    assert [line.split()[:4] for line in lines[2::2]] == [
        ["shop", "held", "4", first],
        *(["shop", "waiting", str(number), one] for number, one in enumerate(others, start=1)),
    ]
    assert [line.strip() for line in lines[1::2]] == [
        "DETAIL",
        "on runner-8cb4de95a6",
        f"behind {first}",
        f"behind {first} {others[0]}",
        f"behind {first} and 2 more",
    ]


@pytest.mark.parametrize("width", [80], indirect=True)
def test_a_usual_terminal_shows_the_log_as_a_table(api: FakeApi, towpath: Towpath, width: int) -> None:
    today = {"time": datetime.now(UTC).isoformat()}
    registered = event("registered", "workspace", root="/srv/shop", on_runner_lost="fail")
    events = [
        {**registered, **today, "task_id": None, "workspace": "shop"},
        {**event("created", title="agent one", command=["sh", "one.sh"]), **today},
    ]
    api.answers["GET /events"] = (200, {"items": events, "next_cursor": None})
    lines = towpath("events").stdout.splitlines()
    assert lines[0].split() == ["SEQ", "TIME", "EVENT", "TASK", "TITLE", "DETAIL"]
    assert any(line.endswith("sh one.sh") for line in map(str.rstrip, lines))


def test_no_column_is_a_sliver(width: int) -> None:
    from infra.cli.output.table import LEAST, Column, _fitted

    for count in range(1, 8):
        columns = [Column(str(number), lambda row: "", wide=True) for number in range(count)]
        widths = _fitted([500] * count, columns, width)
        assert widths is None or (min(widths) >= LEAST >= 10 and sum(widths) <= width)


def test_failed_tasks_say_why(answers: FakeApi, towpath: Towpath) -> None:
    shown = towpath("tasks", "-s", "failed").stdout
    assert "exit code 137" in shown
    assert "timeout, exit code -9" in shown
    assert "no-runner" in shown


def test_a_file_gets_whole_ids_and_whole_lines(answers: FakeApi, towpath: Towpath) -> None:
    for command, rows in (("tasks", len(TASKS)), ("locks", 2), ("events", len(EVENTS))):
        lines = towpath(command, COLUMNS="40").stdout.splitlines()
        assert len(lines) == 1 + rows
        assert IDS[1] in "".join(lines)


def test_candidates_for_an_ambiguous_id_are_told_apart(answers: FakeApi, towpath: Towpath) -> None:
    done = towpath("task", IDS[0][:8])
    assert done.returncode == 2
    for task in TASKS[:3]:
        assert f"{task['id']}  {task['status']}  {task['title']}" in done.stderr


@pytest.mark.parametrize("command", ["task", "why", "dispatch", "cancel", "wait", "trail", "release"])
def test_every_command_takes_the_end_of_an_id(answers: FakeApi, towpath: Towpath, command: str) -> None:
    more = (
        ("--reason", "stuck") if command == "release" else ("--timeout", "0.1") if command == "wait" else ()
    )
    towpath(command, IDS[0][-6:], *more)
    assert any(IDS[0] in one.path for one in answers.seen)


@pytest.mark.parametrize("columns", [1, 30, 60, 80, 200])
def test_a_real_terminal(answers: FakeApi, columns: int) -> None:
    """Whatever the width says, the command shows the same words, and fits."""
    from rich.cells import cell_len
    from rich.text import Text

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([TOWPATH, "tasks"], env=environment(answers), stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert process.wait(TIMEOUT_SECONDS) == 0
    text = Text.from_ansi(shown.decode().replace("\r", "")).plain
    assert max(map(cell_len, text.splitlines())) <= max(columns, 30)
    assert letters(TITLES[0])[:10] in letters(text) or columns == 80
