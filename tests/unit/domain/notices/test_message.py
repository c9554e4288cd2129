"""Messages: what happened, to which task, where, why, how long, the last lines, who, and links."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.log.record import Recorded
from domain.notices.message import LAST_LINES, LINE_CHARS, condition_message, event_message, plain
from domain.notices.rules import Fact, Subject, Trigger
from domain.task.transitions import Status
from domain.task.view import TaskRead, task_read
from tests.unit.domain.samples import AT, LATER, TASK_ID, Journal, created_data, task_in

BASE = "https://towpath.example/"


def failed(output: str | None = "one\ntwo\n") -> Recorded:
    data = {
        "attempt": 1, "runner_id": "r1", "exit_code": 2, "message": None, "finished_at": LATER.isoformat(),
        "output_tail": output, "reason": "exit",
    }  # fmt: skip
    event = Journal().append("task", TASK_ID, "failed", data, "runner:r1")
    event.time = (AT + timedelta(minutes=12, seconds=3)).isoformat()
    return event


def read(status: Status = Status.FAILED, **changes: Any) -> TaskRead:
    found = task_read(task_in(status, **changes), 9)
    found.started_at = AT
    return found


def test_a_failure_tells_all() -> None:
    message = event_message(failed(), read(title="deploy shop"), "It failed, said by runner:r1.", BASE)
    notice = message.notice
    assert message.id == "event-1"
    assert message.type == "towpath.task.failed.v1"
    assert message.subject == TASK_ID
    assert message.attributes == {
        "actor": "runner:r1", "chain": "chain-1", "entityversion": 1, "sequence": "1", "attempt": 1,
    }  # fmt: skip
    assert message.data["exit_code"] == 2
    assert notice.text.splitlines() == [
        "failed: deploy shop (acme-api, r1, after 12m)",
        "It failed, said by runner:r1.",
        "| one",
        "| two",
        "by runner:r1",
        f"https://towpath.example/console/tasks/{TASK_ID}",
    ]
    assert notice.seconds == 723.0
    assert notice.links.trail == f"https://towpath.example/tasks/{TASK_ID}/events"
    assert notice.task is not None
    assert (notice.task.pool, notice.task.workspace, notice.task.attempt) == ("default", "acme-api", 1)
    assert not notice.again
    again = message.told_again()
    assert again.id == message.id
    assert again.notice.again
    assert again.notice.text.startswith("(again) failed: ")


def test_without_a_public_address_there_are_no_links() -> None:
    notice = event_message(failed(), read(), None, None).notice
    assert notice.links.console is None
    assert "http" not in notice.text


def test_only_the_last_lines_are_told_and_each_is_bounded() -> None:
    output = "\n".join(f"\x1b[1;32mline {n}\x1b[0m" for n in range(100)) + "\n" + "x" * 10_000
    lines = event_message(failed(output), read(), None, None).notice.last_lines
    assert len(lines) == LAST_LINES
    assert lines[0] == "line 91"
    assert len(lines[-1]) == LINE_CHARS


@given(st.text(max_size=300), st.text(max_size=300))
def test_text_of_a_task_steers_nothing(title: str, output: str) -> None:
    notice = event_message(failed(output), read(title=title), None, BASE).notice
    lines = notice.text.split("\n")
    assert all(line.replace("\t", "").isprintable() for line in lines)
    assert lines[0].startswith("failed: ")
    assert lines[-1].startswith("https://towpath.example/console/tasks/")
    assert all(line.startswith("| ") for line in lines[1:-2])


def test_variables_of_the_environment_are_masked() -> None:
    data = created_data(env={"KEY": "encrypted"}).model_dump(mode="json") | {"secrets": {"PIN": "encrypted"}}
    event = Journal().append("task", TASK_ID, "created", data)
    shown = event_message(event, read(Status.CREATED), None, None)
    assert "encrypted" not in shown.model_dump_json()
    assert shown.data["env"] == {"KEY": "***"}


def test_a_workspace_has_no_task() -> None:
    data = {"root": "/srv/shop", "on_runner_lost": "hold", "by": "ann"}
    message = event_message(Journal().append("workspace", "shop", "registered", data), None, None, BASE)
    assert message.notice.text.splitlines() == ["registered: shop", "its directory is /srv/shop", "by ann"]
    assert message.notice.task is None


def test_a_condition_tells_how_long() -> None:
    fact = Fact(
        "e1_lock-waits-over-10m", Trigger.parse("lock-waits-over 10m"), LATER, (Subject(TASK_ID, "build"),)
    )
    message = condition_message(fact, read(Status.DISPATCHED), "It waits.", 605.0, BASE)
    assert message.type == "towpath.condition.lock-waits-over.v1"
    assert message.subject == TASK_ID
    assert message.data["condition"] == "lock-waits-over 10m"
    assert message.notice.text.splitlines()[:2] == [
        "lock-waits-over: build has waited 10m for its lock", "It waits.",
    ]  # fmt: skip


def test_a_runner_has_no_task() -> None:
    fact = Fact("r1_5_runner-lost", Trigger("runner-lost"), LATER, (Subject(runner_id="r1"),))
    message = condition_message(fact, None, None, 21.0, BASE)
    assert (message.subject, message.notice.runner_id) == ("r1", "r1")
    assert message.notice.text == "runner-lost: runner r1 is lost, and what it ran has ended"


def test_an_end_names_what_began() -> None:
    subjects = (Subject(runner_id="r1"),)
    fact = Fact("x_recovered", Trigger("recovered"), LATER, subjects, Trigger("runner-lost"))
    message = condition_message(fact, None, None, 3720.0, None)
    assert message.notice.text == "recovered: runner r1 is over after 1h 2m: runner-lost"
    assert message.data["began"] == "runner-lost"


def test_a_dead_letter_names_its_reason() -> None:
    fact = Fact("dead-letter_3", Trigger("dead-letter"), LATER, (Subject(),))
    message = condition_message(fact, None, None, None, None, "report of x: ended; see `towpath dead 3`")
    assert message.notice.text.splitlines() == ["dead-letter", "report of x: ended; see `towpath dead 3`"]


def test_plain_text_is_one_line() -> None:
    assert plain("a\n b\x1b[31m\u202e") == "a b\ufffd[31m\ufffd"
