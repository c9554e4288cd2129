"""`towpath runners`: ids of `towpath lock` are short on a terminal only, and accepted in both forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.cli.output import event_text, formats
from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi

LONG = "build-7-lock-0123abcd" + "5" * 24
SHORT = "build-7-lock-0123abcd"


def runner(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "pools": [name],
        "host": "build-7",
        "capacity": 1,
        "running_attempts": [],
        "last_heartbeat": "2026-03-01T12:00:00Z",
        "state": "lost",
        "awaiting_operator": [],
        "instance": None,
        "conflict": [],
        **more,
    }


@pytest.fixture
def known(api: FakeApi) -> list[dict[str, Any]]:
    """What the API lists."""
    found = [runner(LONG), runner("host-1", pools=["default", "gpu"], state="alive")]
    api.answers["GET /runners"] = 200, {"items": found, "next_cursor": None}
    return found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal of 80 columns."""
    for module in (formats, event_text):
        monkeypatch.setattr(module, "terminal_width", lambda _: 80)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_each_runner_is_one_line_of_80_columns(
    towpath: Towpath, known: list[dict[str, Any]]
) -> None:
    head, *rows = towpath("runners").stdout.splitlines()
    assert head.split()[:2] == ["ID", "STATE"]
    assert len(rows) == len(known)
    assert rows[0].split()[:3] == [SHORT, "lost", "itself"]
    assert max(map(len, rows)) <= 80


def test_elsewhere_ids_are_whole(towpath: Towpath, known: list[dict[str, Any]]) -> None:
    assert towpath("runners").stdout.count(LONG) == 2
    assert json.loads(towpath("runners", "-o", "json").stdout) == known


@pytest.mark.parametrize("given", [LONG, SHORT])
def test_forget_takes_both_forms(
    towpath: Towpath, api: FakeApi, known: list[dict[str, Any]], given: str
) -> None:
    api.answers[f"DELETE /runners/{LONG}"] = 204, None
    assert towpath("runners", "forget", given).returncode == 0
    assert [one.path for one in api.seen if one.method == "DELETE"] == [f"/runners/{LONG}"]


def test_a_form_that_fits_two_runners_is_refused(
    towpath: Towpath, api: FakeApi, known: list[dict[str, Any]]
) -> None:
    known.append(runner(SHORT + "6" * 24))
    done = towpath("runners", "forget", SHORT)
    assert done.returncode == 2
    assert LONG in done.stderr
    assert [one for one in api.seen if one.method == "DELETE"] == []
