"""Events, times and claims in words."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer

from domain.log.events import EVENTS
from domain.task.spec import MAX_TIMEOUT_SECONDS
from infra.cli.arguments import options
from infra.cli.commands import servers
from infra.cli.output.durations import LONGEST_WAIT_SECONDS, ago, duration, moment, seconds
from infra.cli.output.event_text import detail, name_of, scope, short
from infra.cli.output.stderr import folded
from infra.cli.output.task_view import lock_of, status_of, took
from tests.unit.infra.cli.shapes import OTHER_ID, TASK_ID, event, task_read

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "name"), EVENTS)
def test_every_event_has_words(kind: str, name: str) -> None:
    assert detail(event(name, kind))


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        (event("created"), "created", "echo 'two words'"),
        (event("dispatched"), "dispatched", "pool default, acme: src (shared)"),
        (
            event("dispatched", lock_wait_seconds=90.0),
            "dispatched",
            "pool default, acme: src (shared), waits at most 90s",
        ),
        (
            event("canceled", runner_id=None, reason="lock-wait-timeout", message="held too long"),
            "canceled",
            "lock-wait-timeout, held too long",
        ),
        (event("failed"), "failed", "exit code 2"),
        (event("failed", reason="timeout", exit_code=None), "failed", "timeout"),
        (event("failed", message="exited with code 2"), "failed", "exited with code 2"),
        (event("failed", message="no space left"), "failed", "exit code 2, no space left"),
        (event("submit-failed"), "submit-failed", "no-runner, nobody came"),
        (event("granted", "lock") | {"seq": 41}, "lock granted", "token 41, src"),
        (event("granted", "lock", paths=[]), "lock granted", "token 1, whole workspace"),
        (event("refused", "lock"), "lock refused", f"src, behind {short(OTHER_ID)}"),
        (event("released", "lock"), "lock released", "after failed at 17"),
        (event("something-new"), "something-new", ""),
    ],
)
def test_details(given: dict[str, object], name: str, words: str) -> None:
    assert (name_of(given), detail(given)) == (name, words)


@pytest.mark.parametrize(
    ("passed", "words"),
    [(-5, "now"), (0.4, "now"), (3.9, "3 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_ago(passed: float, words: str) -> None:
    assert ago((NOW - timedelta(seconds=passed)).isoformat(), NOW) == words


@pytest.mark.parametrize(
    ("text", "expected"), [("30", 30), ("1.5s", 1.5), ("10m", 600), ("2h", 7200), ("7d", 604800)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert seconds(duration(expected)) == expected
    assert moment(text, NOW) == NOW - timedelta(seconds=expected)


@pytest.mark.parametrize("text", ["", "soon", "-3", "5 parsecs", "2026-03-01T12:00:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|offset|isoformat"):
        moment(text, NOW)


def test_days_are_the_beginning_of_a_day_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")  # 14 hours ahead: there it is another day than in UTC
    time.tzset()
    try:
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        here = timezone(timedelta(hours=14))
        assert moment("today", now) == datetime(2026, 3, 2, tzinfo=here)
        assert moment("Yesterday", now) == datetime(2026, 3, 1, tzinfo=here)
        assert moment("2026-11-29", now) == datetime(2026, 11, 29, tzinfo=here)
        for end in ("0001-01-01", "9999-12-31"):
            assert moment(end, now).year == int(end[:4])
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_leap_second_is_the_end_of_the_second_before() -> None:
    found = moment("2016-12-31T23:59:60Z", NOW)
    assert found == datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["9" * 400, "36501d", "9999999999d", "2026-02-30", "2026-13-01", "٣m", "today 3"]
)
def test_what_is_no_time_either(text: str) -> None:
    with pytest.raises(ValueError, match=r"too long|isoformat|out of range|month"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["9" * 400, "31d", "2592001"])
def test_nothing_waits_longer_than_the_api_takes(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="at most 30d"):
        options.duration(text)
    assert options.duration("30d") == LONGEST_WAIT_SECONDS == MAX_TIMEOUT_SECONDS


def test_a_runner_whose_clock_went_back_took_no_negative_time() -> None:
    times = {"started_at": "2026-03-01T12:00:01Z", "finished_at": "2026-03-01T12:00:00Z"}
    assert took(task_read(**times)) == "clock of the runner: finished before it started"
    assert took(task_read(**{**times, "finished_at": "2026-03-01T12:00:02.5Z"})) == "1.5 s"


def test_the_state_of_a_task() -> None:
    waiting = task_read(
        status="dispatched", lock={"state": "waiting", "position": 2, "blocked_by": [TASK_ID]}
    )
    assert status_of(waiting) == "dispatched (waits)"
    assert lock_of(waiting) == f"waiting, position 2, behind {short(TASK_ID)}"
    assert status_of(task_read(status="running", cancel_requested=True)) == "running (canceling)"
    assert lock_of(task_read(lock={"state": "held", "token": 41})) == "held, token 41"


def test_paths_that_hold_a_space_are_told_apart() -> None:
    assert scope(["src", "docs"]) == "src docs"
    assert scope(["src docs", "a\tb"]) == "'src docs' 'a\tb'"
    assert scope([]) == "whole workspace"


@pytest.mark.parametrize("text", ["a:b=c", ":=c", "a:=c"])
def test_a_label_that_cannot_be_is_not_asked_for(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="cannot hold `:`"):
        options.labels([text], "--label")
    assert options.labels(["a=b:c=d"], "--label") == {"a": "b:c=d"}


@pytest.mark.parametrize("text", ["::1:9000", "9000", ":9000", "[::1]:", "localhost:x"])
def test_an_address_is_unambiguous(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="HOST:PORT"):
        servers._address(text)
    assert servers._address("[::1]:9000") == ("::1", 9000)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_terminal_folds_between_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    text = "  waits for " + "a-path/of-a/workspace and " * 9 + "x" * 100
    lines = folded(text, terminal).split("\n")
    assert max(map(len, lines[:-1])) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert folded(text, io.StringIO()) == text
