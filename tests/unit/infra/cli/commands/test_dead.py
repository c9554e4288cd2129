"""`towpath dead`: what is listed, shown, put back and dropped, and how each ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.errors.exit_codes import Exit
from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import TASK_ID

REFUSED = {"status": 409, "code": "not-replayable", "detail": "it cannot be replayed: the first end stands"}


def letter(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": "2026-03-01T12:00:00Z",
        "kind": "report",
        "subject": TASK_ID,
        "reason": "gave-up",
        "detail": "tried 20 times",
        "size": 42,
        "source": None,
        **more,
    }


@pytest.fixture(autouse=True)
def two(api: FakeApi) -> None:
    api.answers["GET /dead"] = 200, {"items": [letter(3), letter(5)], "next_cursor": None}


def test_the_list_says_when_what_and_why(towpath: Towpath, api: FakeApi) -> None:
    shown = towpath("dead")
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["SEQ", "WHEN", "KIND", "SUBJECT", "REASON", "SIZE", "DETAIL"]
    assert len(rows) == 2
    assert "gave-up" in rows[0]
    assert [one["seq"] for one in json.loads(towpath("dead", "-o", "json").stdout)] == [3, 5]
    assert len(towpath("dead", "-o", "jsonl").stdout.splitlines()) == 2
    towpath("dead", "--kind", "submit")
    assert ("kind", "submit") in api.asked("GET", "/dead")[-1].query


def test_what_was_dropped_for_the_budget_is_said(towpath: Towpath, api: FakeApi) -> None:
    assert "dropped" not in towpath("dead").stderr
    gone = [{"kind": "report", "reason": "invalid-report", "count": 30}]
    api.answers["GET /dead"] = 200, {"items": [letter(3)], "next_cursor": None, "dropped": gone}
    shown = towpath("dead")
    assert "30 more of kind report, reason invalid-report, were dropped" in " ".join(shown.stderr.split())
    assert "dropped" not in shown.stdout


def test_one_is_shown_with_its_body(towpath: Towpath, api: FakeApi) -> None:
    api.answers["GET /dead/3"] = 200, letter(3, body={"status": "failed"})
    assert '{"status":"failed"}' in towpath("dead", "show", "3").stdout
    assert json.loads(towpath("dead", "show", "3", "-o", "json").stdout)["body"] == {"status": "failed"}
    api.answers["GET /dead/3"] = 200, letter(3, body=None)
    assert "not shown" in towpath("dead", "show", "3").stdout
    assert towpath("dead", "show", "4").returncode == Exit.NOT_FOUND


def test_what_is_refused_stays_and_the_others_go_on(towpath: Towpath, api: FakeApi) -> None:
    api.answers["POST /dead/3/replay"] = 409, REFUSED
    api.answers["POST /dead/5/replay"] = 200, letter(5, outcome="recorded")
    done = towpath("dead", "replay", "--all", "-o", "json")
    assert done.returncode == Exit.CONFLICT
    assert [(one["seq"], one["outcome"]) for one in json.loads(done.stdout)] == [
        (3, "refused"),
        (5, "recorded"),
    ]
    assert "first end stands" in towpath("dead", "replay", "3").stdout
    assert towpath("dead", "replay", "5").returncode == Exit.OK
    towpath("dead", "replay", "--all", "--kind", "report")
    assert ("kind", "report") in api.asked("GET", "/dead")[-1].query
    api.answers["POST /dead/3/replay"] = 503, {"status": 503, "detail": "the log does not answer"}
    assert towpath("dead", "replay", "3", "5").returncode == Exit.ERROR


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "3", "--all"),
        ("replay", "3", "--kind", "report"),
        ("replay", "x"),
        ("drop", "3"),
        ("drop", "--reason", "seen"),
        ("show",),
        ("show", "0"),
    ],
)
def test_usage(towpath: Towpath, api: FakeApi, arguments: tuple[str, ...]) -> None:
    assert towpath("dead", *arguments).returncode == Exit.USAGE
    assert [one.method for one in api.seen if one.method != "GET"] == []


def test_dropping_brings_the_reason(towpath: Towpath, api: FakeApi) -> None:
    for seq in (3, 5):
        api.answers[f"DELETE /dead/{seq}"] = 200, letter(seq)
    assert towpath("dead", "drop", "3", "5", "--reason", "seen").returncode == Exit.OK
    assert api.asked("DELETE", "/dead/5")[0].query == [("reason", "seen")]


def test_what_was_settled_is_listed_with_who_did_it(towpath: Towpath, api: FakeApi) -> None:
    done = {
        "number": 2,
        "by": "admin:bob",
        "action": "dropped",
        "outcome": None,
        "note": "seen",
        "kept_at": "",
    }
    replayed = {**done, "by": "operator:ann", "action": "replayed", "outcome": "recorded", "note": None}
    api.answers["GET /dead/settled"] = 200, {"items": [letter(5, **done), letter(3, **replayed)]}
    head, first, second = towpath("dead", "settled").stdout.splitlines()
    assert head.split()[:5] == ["SEQ", "WHEN", "BY", "ACTION", "OUTCOME"]
    assert ("admin:bob" in first, "dropped" in first, "seen" in first) == (True, True, True)
    assert ("operator:ann" in second, "recorded" in second) == (True, True)
    assert [one["by"] for one in json.loads(towpath("dead", "settled", "-o", "json").stdout)] == [
        "admin:bob",
        "operator:ann",
    ]
