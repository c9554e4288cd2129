"""What is collected after a run: marks of jobs that were killed at any moment."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.settle import _marks

TICK = '{"mark": "tick", "alive": 1.5, "pid": 7, "task": "t", "attempt": 1, "token": 2}'


def test_the_beginning_of_a_mark_costs_no_whole_one(tmp_path: Path) -> None:
    file = tmp_path / "marks.jsonl"
    assert _marks(file) == []
    file.write_text(f"{TICK}\n{TICK[:21]}{TICK}\n{TICK}\n{TICK[:40]}")
    assert [mark["alive"] for mark in _marks(file)] == [1.5, 1.5, 1.5]
