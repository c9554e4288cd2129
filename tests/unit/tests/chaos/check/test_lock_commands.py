"""The checker's judgement of `towpath lock`: each code that is untrue and each process left is found."""

from __future__ import annotations

import pytest

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Life, Lives
from tests.chaos.check.lock_commands import check_lock_commands
from tests.chaos.check.verdict import Verdict
from tests.chaos.history import Json
from tests.chaos.raw_log import Fact

WHOLE = ("begin", "tick", "end")


def rules(history: list[Json], *tasks: str, end: tuple[str, int | None] = ("succeeded", 0)) -> set[str]:
    """Which rules a history breaks, where `tasks` belong to lock command 1 and have ended so."""
    verdict = Verdict()
    lives = Lives(verdict)
    name, code = end
    for seq, task in enumerate(tasks, start=1):
        lives.tasks[task] = Life(task, seq, 4, name, {"labels": {"lock": "1"}}, attempt=1)
        lives.ends[task, 1] = Fact(seq, "task", task, name, "id", 4, 1, {"exit_code": code}, 0.0)
    check_lock_commands(Evidence.of(history), lives, verdict)
    return {rule for _, rule in verdict.rules()}


def told(code: int | None, *marks: str, task: str = "t") -> list[Json]:
    wrote = [{"line": "mark", "mark": mark, "task": task, "at": 0.0} for mark in marks]
    return [*wrote, {"line": "lock-command", "number": "1", "code": code, "stuck": "", "at": 0.0}]


@pytest.mark.parametrize(
    ("history", "end"),
    [
        (told(0, *WHOLE), ("succeeded", 0)),
        (told(3, *WHOLE), ("failed", 3)),
        (told(0, *WHOLE), ("failed", None)),  # its end did not reach the control plane in time
        (told(9, "begin", "tick"), ("failed", None)),
        (told(-9, "begin", "tick"), ("canceled", None)),
        (told(137, "begin"), ("failed", 137)),
        (told(8), ("failed", None)),
    ],
)
def test_what_is_true_breaks_nothing(history: list[Json], end: tuple[str, int | None]) -> None:
    assert rules(history, "t", end=end) == set()


@pytest.mark.parametrize("code", [1, 2, 4, 5, 6, 8])
def test_a_job_that_ran_although_the_code_denies_it_is_found(code: int) -> None:
    assert rules(told(code, "begin"), "t", end=("failed", None)) == {"lock-code"}


def test_a_code_of_the_job_without_its_whole_run_is_found() -> None:
    assert rules(told(0, "begin", "tick"), "t") == {"lock-code"}
    assert rules(told(0, *WHOLE, task="another"), "t") == {"lock-code"}
    assert rules(told(0), end=("failed", None)) == {"lock-code"}


def test_another_code_than_the_log_has_is_found() -> None:
    assert rules(told(0, *WHOLE), "t", end=("failed", 3)) == {"lock-code"}


def test_two_tasks_of_one_command_are_found() -> None:
    assert rules(told(0, *WHOLE), "t", "u") == {"lock-twice"}


def test_a_command_that_never_ended_and_a_process_left_behind_are_found() -> None:
    assert rules(told(None), "t", end=("failed", None)) == {"lock-stuck"}
    left = {"line": "left-behind", "command": "python job.py", "at": 0.0}
    assert rules([left]) == {"left-behind"}
