"""Waits for a task around the claim itself."""

from __future__ import annotations

import pytest

from domain.locks.nesting import AROUND, MOST_LOOKS, TASK, Nesting, tasks_around


@pytest.mark.parametrize(
    ("env", "around"),
    [
        ({}, []),
        ({TASK: ""}, []),
        ({TASK: "b"}, ["b"]),
        ({TASK: "c", AROUND: "a b"}, ["a", "b", "c"]),
    ],
)
def test_the_tasks_around_come_from_the_environment(env: dict[str, str], around: list[str]) -> None:
    assert tasks_around(env) == around


@pytest.mark.parametrize(
    ("blocked_by", "waiting", "found"),
    [
        (["outer"], {}, "outer"),
        (["x", "middle"], {}, "middle"),
        (["x"], {"x": ["y"], "y": ["outer"]}, "outer"),
        (["x"], {"x": ["y"], "y": ["x"]}, None),
        (["x", "y"], {}, None),
        ([], {}, None),
    ],
)
def test_a_wait_may_lead_to_a_task_around_it_through_others(
    blocked_by: list[str], waiting: dict[str, list[str]], found: str | None
) -> None:
    nesting = Nesting(["outer", "middle"], lambda name: waiting.get(name, []))
    assert nesting.waits_for(blocked_by) == found


def test_each_task_is_looked_at_once_and_not_too_many() -> None:
    looked: list[str] = []
    nesting = Nesting(["outer"], lambda name: looked.append(name) or [])  # type: ignore[func-returns-value]
    many = [str(number) for number in range(2 * MOST_LOOKS)]
    for _ in range(3):
        assert nesting.waits_for(many) is None
    assert looked == many[:MOST_LOOKS]


def test_without_a_task_around_nothing_is_looked_at() -> None:
    def never(name: str) -> list[str]:
        raise AssertionError(name)

    assert Nesting([], never).waits_for(["x"]) is None
