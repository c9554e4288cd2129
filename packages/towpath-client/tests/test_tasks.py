"""Tasks, locks and trails against a real Towpath."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from patience import until
from tests.support.ports import free_port
from tests.support.towpath import Up
from towpath_client import (
    KEY_NAMESPACE,
    Client,
    Status,
    TaskFailed,
    TimedOut,
    Unreachable,
    id_of_key,
    problems,
    tasks,
)


def test_run_returns_exit_code_status_and_output(client: Any) -> None:
    done = client.run(["sh", "-c", "echo hello; exit 3"], title="greets", labels={"team": "web"})
    assert (done.exit_code, done.status, done.output, done.ok) == (3, Status.FAILED, "hello\n", False)
    assert (done.task.title, done.task.labels) == ("greets", {"team": "web"})
    with pytest.raises(TaskFailed, match="exit"):
        done.check()
    assert client.run(["true"], secrets={"WORD": "hidden"}).check().ok


def test_a_key_names_one_task(client: Any) -> None:
    key = f"nightly/{uuid.uuid4()}"
    first = client.run(["sh", "-c", "echo once"], key=key)
    again = client.run(["sh", "-c", "echo once"], key=key)
    assert first.task.id == again.task.id == id_of_key(key) == str(uuid.uuid5(KEY_NAMESPACE, key))
    assert (again.task.attempt, again.task.version) == (1, first.task.version)
    with pytest.raises(problems.IdTaken) as refused:
        client.create(["sh", "-c", "echo twice"], key=key)
    assert (refused.value.status, refused.value.code) == (409, "id-taken")
    assert client.get(id_of_key(key)).command == ["sh", "-c", "echo once"]


@pytest.mark.parametrize("version", [1, 3, 4, 5, 7, 8])
def test_any_uuid_may_be_an_id(client: Any, version: int) -> None:
    value = uuid.uuid4().int & ~(0xF << 76) | version << 76
    task = client.create(["true"], id=uuid.UUID(int=value), dispatch=True)
    assert task.id == str(uuid.UUID(int=value))
    assert client.wait(task.id, timeout=30).succeeded
    assert client.create(["true"], id=task.id.upper()).id == task.id


def test_the_nil_and_the_max_uuid_are_refused(client: Any) -> None:
    for number in (0, 2**128 - 1):
        with pytest.raises(problems.InvalidRequest) as refused:
            client.create(["true"], id=uuid.UUID(int=number))
        assert refused.value.extra["errors"][0]["loc"] == "body.id"


def test_create_dispatch_wait_and_again(client: Any) -> None:
    task = client.create(["false"], title="fails")
    assert (task.status, task.attempt, task.ended) == (Status.CREATED, 0, False)
    assert client.dispatch(task.id).attempt == 1
    assert client.wait(task.id).status == Status.FAILED
    client.dispatch(task.id)
    assert client.wait(task.id, timeout=30).attempt == 2
    ends = [(one.attempt, one.status, one.exit_code) for one in client.attempts(task.id)]
    assert ends == [(1, Status.FAILED, 1), (2, Status.FAILED, 1)]
    past = client.get(task.id, at=task.seq)
    assert (past.status, past.seq) == (Status.CREATED, task.seq)


def test_cancel_and_what_is_over(client: Any) -> None:
    task = client.create(["sleep", "60"], dispatch=True)
    with pytest.raises(TimedOut):
        client.wait(task.id, timeout=0.2)
    client.cancel(task.id, "changed my mind")
    assert client.wait(task.id, timeout=30).status == Status.CANCELED
    with pytest.raises(problems.AlreadyEnded):
        client.cancel(client.run(["true"]).task.id)
    why = client.why(task.id)
    assert (why.stage, why.task_id) == ("ended", task.id)
    assert "canceled" in why.sentence


def test_a_task_with_retries_is_waited_for_until_none_follows(client: Any) -> None:
    policy = {"max_attempts": 2, "backoff_seconds": 0.2, "on": ["exit"]}
    done = client.run(["sh", "-c", "test $TOWPATH_ATTEMPT = 2"], retry=policy, timeout=60)
    assert (done.ok, done.task.attempt, done.task.retry) == (True, 2, policy)
    task = client.create(["false"], dispatch=True, retry={**policy, "backoff_seconds": 3600})
    until(lambda: client.get(task.id).next_attempt_at is not None)
    with pytest.raises(TimedOut):
        client.wait(task.id, timeout=0.2)
    assert client.why(task.id).stage == "waits-to-retry"
    client.cancel(task.id)
    assert client.wait(task.id, timeout=30).status == Status.FAILED


def test_pages_of_tasks_are_read_as_they_are_needed(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PAGE", 2)
    value = str(uuid.uuid4())
    made = [client.create(["true"], labels={"batch": value}).id for _ in range(5)]

    def listed() -> list[str]:
        return [one.id for one in client.tasks(label=("batch", value), status=["created"])]

    assert until(lambda: listed() if len(listed()) == 5 else None) == made[::-1]
    assert next(client.tasks(label=("batch", value))).id == made[-1]
    assert list(client.tasks(label=("batch", value), status="running")) == []


def test_the_trail_and_the_locks(client: Any, workspace: str) -> None:
    holder = client.create(["sleep", "60"], dispatch=True, workspace=workspace, lock_paths=["src"])
    waiter = client.create(["true"], dispatch=True, workspace=workspace, lock_paths=["src/api"])
    until(lambda: client.get(holder.id).status == Status.RUNNING)
    (entry,) = client.locks(workspace)
    assert [one.task_id for one in entry.holders] == [holder.id]
    assert [(one.task_id, one.blocked_by) for one in entry.waiters] == [(waiter.id, [holder.id])]
    assert workspace in [one.workspace for one in client.locks()]
    assert [one.task_id for one in client.why(waiter.id).blocked_by] == [holder.id]
    with pytest.raises(problems.WorkspaceLocked) as locked:
        client.run(["true"], workspace=workspace, lock_paths=["src"], on_conflict="reject")
    assert locked.value.extra["holders"][0]["task_id"] == holder.id
    released = client.release(holder.id, "it hangs")
    assert (released.released_paths, released.process_may_run) == (["src"], True)
    assert client.wait(waiter.id, timeout=30).succeeded
    facts = [one.event for one in client.trail(waiter.id)]
    assert facts[:3] == ["created", "dispatched", "granted"]
    assert [one.seq for one in client.trail(waiter.id, event="granted")] == [client.get(waiter.id).lock.token]


def test_problems_are_exceptions(client: Any) -> None:
    with pytest.raises(problems.NoSuchTask) as missing:
        client.get(uuid.uuid4())
    assert (missing.value.code, missing.value.status) == ("no-such-task", 404)
    with pytest.raises(problems.NotFound):
        client.run(["true"], workspace="nowhere")
    with pytest.raises(problems.InvalidRequest):
        client.create([])
    with pytest.raises(TypeError, match="a list"):
        client.create("ls -l")


def test_no_connection_is_tried_again_until_the_time_is_over() -> None:
    started = time.monotonic()
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, timeout=0.6) as client, pytest.raises(Unreachable, match=f"at {url} "):
        client.get(uuid.uuid4())
    assert time.monotonic() - started >= 0.1


def test_the_environment_names_the_api(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOWPATH_URL", up.url)
    with Client() as client:
        assert client.run(["true"]).ok


def test_a_task_is_waited_for_until_no_retry_follows(client: Any) -> None:
    retry = {"max_attempts": 2, "backoff_seconds": 0.1, "on": ["exit"]}
    done = client.run(["false"], retry=retry, timeout=60)
    assert (done.exit_code, done.task.attempt) == (1, 2)


def test_a_command_about_what_was_seen(client: Any, workspace: str) -> None:
    task = client.create(["sleep", "60"], workspace=workspace)
    assert client.dispatch(task.id, attempt=0).attempt == 1
    with pytest.raises(problems.Conflict):
        client.dispatch(task.id, attempt=0)
    with pytest.raises(problems.Changed):
        client.cancel(task.id, attempt=0)
    running = until(lambda: (now := client.get(task.id)).status == Status.RUNNING and now)
    with pytest.raises(problems.Changed):
        client.release(task.id, "it hangs", token=running.lock.token - 1)
    assert client.release(task.id, "it hangs", token=running.lock.token).process_may_run
    client.cancel(task.id, attempt=1)
    assert client.wait(task.id, timeout=30).status == Status.CANCELED


def test_tasks_are_filtered_and_counted(client: Any) -> None:
    batch = ("batch", str(uuid.uuid4()))
    codes = [
        client.run(["sh", "-c", f"exit {code}"], title=f"Exit {code}", labels=dict([batch])).task
        for code in (0, 3)
    ]
    until(lambda: client.count(label=batch, status=["failed", "succeeded"]).count == 2)

    def listed(**filters: Any) -> list[str]:
        found = [one.title for one in client.tasks(label=[batch], **filters)]
        order = filters.pop("order", None)
        assert client.count(label=batch, **filters).count == len(found), order
        return found

    assert listed() == ["Exit 3", "Exit 0"]
    assert listed(order="oldest") == ["Exit 0", "Exit 3"]
    assert listed(exit_code=3) == listed(q="exit 3") == listed(reason="exit") == ["Exit 3"]
    assert listed(id=[one.id for one in codes]) == ["Exit 3", "Exit 0"]
    assert listed(id=codes[0].id, finished_after=codes[0].created_at) == ["Exit 0"]
    assert listed(lock="waiting") == listed(min_attempt=2) == listed(created_before=codes[0].created_at) == []
    assert listed(runner=codes[0].runner_id) == ["Exit 3", "Exit 0"]
    with pytest.raises(TypeError, match="no such filter"):
        client.count(colour="red")
