"""All output of a task, also while it is written."""

from __future__ import annotations

import time
from typing import Any

import pytest

from towpath_client import output, problems


def test_the_whole_output_and_its_end(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "RANGE_BYTES", 1000)
    expected = b"".join(b"%d\n" % number for number in range(1, 2001))
    done = client.run(["seq", "2000"]).check()
    parts = list(client.output(done.task.id))
    assert b"".join(parts) == expected
    assert len(parts) >= len(expected) // 1000
    assert b"".join(client.output(done.task.id, offset=-5)) == b"2000\n"
    assert b"".join(client.output(done.task.id, offset=len(expected), follow=True)) == b""


def test_output_is_followed_while_it_is_written(client: Any) -> None:
    slowly = "for i in 1 2 3; do echo line $i; sleep 0.5; done"
    task = client.create(["sh", "-c", slowly], dispatch=True)
    seen, times = b"", []
    for part in client.output(task.id, follow=True):
        seen += part
        times.append(time.monotonic())
    assert seen == b"line 1\nline 2\nline 3\n"
    assert len(times) > 1
    assert client.wait(task.id, timeout=30).succeeded


def test_an_attempt_that_is_none(client: Any) -> None:
    done = client.run(["true"])
    with pytest.raises(problems.NotFound):
        list(client.output(done.task.id, attempt=7))
    assert list(client.output(done.task.id, attempt=1)) == []


def test_a_task_that_ends_before_any_attempt_has_no_output(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "WAIT_SECONDS", 0.2)
    task = client.create(["true"])
    client.cancel(task.id)
    assert list(client.output(task.id)) == list(client.output(task.id, follow=True)) == []
