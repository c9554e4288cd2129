"""A part of a task's id stands for the whole one, if only one task has it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from infra.cli.client.http import Api
from infra.cli.client.tasks.task_ids import resolve
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit

ONE, OTHER = "01a22b8f-efae-71f8-83c2-8fc30d685d87", "01a22b8f-f1c1-77c7-bd82-bcb62ff979d9"


class Tasks:
    """What `GET /tasks?id=` answers: tasks whose id begins or ends so, or so the read model says."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def items(self, path: str, limit: int, **filters: str) -> tuple[list[dict[str, Any]], bool]:
        given = filters["id"]
        self.asked.append(given)
        fits = [one for one in (ONE, OTHER) if one.startswith(given) or one.endswith(given)]
        return [{"id": one, "status": "running", "title": "build"} for one in fits][:limit], False


def resolved(given: str, tasks: Tasks | None = None) -> str:
    return resolve(cast("Api", tasks or Tasks()), given)


def test_a_whole_id_costs_no_request() -> None:
    tasks = Tasks()
    assert resolved(ONE.upper(), tasks) == ONE
    assert tasks.asked == []


@pytest.mark.parametrize("given", ["5d87", "0d685d87", "01a22b8f-e", "0D685D87"])
def test_a_beginning_or_an_ending_is_enough(given: str) -> None:
    assert resolved(given) == ONE


@pytest.mark.parametrize(
    ("given", "exit_code", "words"),
    [
        ("d87", Exit.USAGE, "no part of one of at least 4 characters"),
        ("shop", Exit.USAGE, "is no task id"),
        ("ffff", Exit.NOT_FOUND, "no task has an id that starts or ends with ffff"),
        ("01a22b8f", Exit.USAGE, f"fits 2 tasks; give more of the id:\n  {ONE}  running  build\n  {OTHER}"),
    ],
)
def test_what_names_no_task_or_several_is_refused_with_words(given: str, exit_code: Exit, words: str) -> None:
    with pytest.raises(CliError) as error:
        resolved(given)
    assert error.value.exit is exit_code
    assert words in str(error.value)
