"""The bench runs from end to end and says what it must; how fast anything is belongs to no test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import GOALS
from tests.bench.steps import COLUMNS, PARTS

pytestmark = pytest.mark.long
LIMIT_SECONDS = 500
KEYS = {"what", "figure", "unit", "baseline", "ratio", "goal", "met"}


def test_a_quick_run_prints_every_row_as_json_and_leaves_nothing_behind(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--quick", "-o", "json"],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    rows = json.loads(finished.stdout)
    assert [row["what"] for row in rows] == list(GOALS)
    for row in rows:
        assert set(row) == KEYS
        assert row["figure"] > 0
        assert isinstance(row["met"], bool)
        if GOALS[row["what"]].of == "ratio":
            assert row["baseline"] > 0
            assert row["ratio"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_steps_of_a_task_are_a_table_of_all_parts(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.bench.steps", "--tasks", "2"],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    head, _, *lines = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in finished.stdout.splitlines()
    )
    assert head == ["part", *COLUMNS]
    assert [cells[0] for cells in lines] == [*PARTS, "all"]
    runner = dict(zip(head, lines[3], strict=True))
    assert float(runner["wake-ups"]) > 0
    assert float(runner["messages out"]) > 0
    assert list(tmp_path.iterdir()) == []
