"""A lock around a block: held, renewed, lost in time, and given back however the block ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from both_clients import opened
from broken_lines import Line
from patience import until
from tests.support.towpath import Up
from towpath_client import AsyncClient, Client, LockLost, LockNotGranted, Status, problems

OPERATOR, VIEWER = "wonderland-of-operators", "looking-glass-of-viewers"
HOLDS = """
import sys
from towpath_client import Client, LockLost

client = Client(sys.argv[1], sys.argv[2] or None)
lock = client.lock(sys.argv[3])
lock.__enter__()
print(lock.task_id, flush=True)
sys.stdin.read(1)
try:
    lock.check()
except LockLost:
    print("lost", flush=True)
"""


def runners(up: Up, **headers: str) -> list[str]:
    answer = httpx.get(f"{up.url}/runners", headers=headers, timeout=30)
    return [one["id"] for one in answer.json()["items"]]


def test_it_is_held_inside_the_block_and_leaves_nothing_behind(client: Any, up: Up, workspace: str) -> None:
    with client.lock(workspace, ["src/api"], title="migrates", labels={"team": "web"}) as lock:
        (entry,) = client.locks(workspace)
        (holder,) = entry.holders
        assert (holder.task_id, holder.token, holder.paths) == (lock.task_id, lock.token, ["src/api"])
        assert holder.runner_id in runners(up)
        assert not lock.lost.is_set()
        with client.lock(workspace, ["docs"], shared=True) as other:
            assert other.token > lock.token
    task = client.get(lock.task_id)
    assert (task.status, task.title, task.labels) == (Status.SUCCEEDED, "migrates", {"team": "web"})
    assert task.runner_id == holder.runner_id
    assert holder.runner_id not in runners(up)
    (entry,) = client.locks(workspace)
    assert entry.holders == []


def test_an_exception_is_the_reason_of_its_end(client: Any, workspace: str) -> None:
    lock = client.lock(workspace)
    with pytest.raises(KeyError), lock:
        raise KeyError("no such price")
    task = client.get(lock.task_id)
    assert (task.status, task.reason, task.message) == (Status.FAILED, "error", "KeyError: 'no such price'")


def test_who_does_not_get_it_leaves_no_claim(client: Any, workspace: str) -> None:
    with client.lock(workspace, ["src"]) as held:
        refused = client.lock(workspace, wait=0)
        with pytest.raises(problems.WorkspaceLocked) as locked, refused:
            pass
        assert locked.value.extra["holders"][0]["task_id"] == held.task_id
        assert client.wait(refused.task_id, timeout=30).reason == "workspace-locked"
        assert held.task_id in client.why(refused.task_id).sentence
        waiting = client.lock(workspace, ["src/api"], wait=0.3)
        with pytest.raises(LockNotGranted), waiting:
            pass
        assert client.get(waiting.task_id).ended
        (entry,) = client.locks(workspace)
        assert entry.waiters == []
    with client.lock(workspace, ["src/api"], wait=60):
        pass


def test_a_lock_that_would_wait_for_the_task_around_its_program_is_refused(
    client: Any, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.lock(workspace, ["src"]) as outer:
        for env in ({"TOWPATH_TASK_ID": outer.task_id}, {"TOWPATH_AROUND_TASK_IDS": f"{outer.task_id} x"}):
            with monkeypatch.context() as patch:
                for name, value in env.items():
                    patch.setenv(name, value)
                between = client.create(
                    ["true"], workspace=workspace, lock_paths=["src", "docs"], dispatch=True
                )
                for inner in (client.lock(workspace, ["src"]), client.lock(workspace, ["docs"])):
                    with pytest.raises(LockNotGranted, match="without end"), inner:
                        pass
                    assert client.get(inner.task_id).status == Status.CANCELED
                client.cancel(between.id)


def test_no_such_workspace(client: Any) -> None:
    with pytest.raises(problems.NoSuchWorkspace), client.lock("nowhere"):
        pass


def test_it_waits_for_its_turn(client: Any, up: Up, workspace: str) -> None:
    holder = client.create(["sleep", "60"], workspace=workspace, dispatch=True)
    until(lambda: client.get(holder.id).status == Status.RUNNING)
    lock = client.lock(workspace, wait=60)
    with Client(up.url) as operator:
        threading.Timer(0.5, lambda: operator.cancel(holder.id)).start()
        with lock:
            assert client.get(holder.id).ended
            assert lock.token > operator.get(holder.id).seq


@pytest.mark.parametrize("how", ["cancel", "release"])
def test_an_operator_takes_it_away(client: Any, workspace: str, how: str) -> None:
    lock = client.lock(workspace)

    def work() -> None:
        with lock:
            if how == "cancel":
                client.cancel(lock.task_id)
            else:
                client.release(lock.task_id, "needed elsewhere")
            assert lock.lost.wait(30)
            for use in (lock.check, lambda: lock.token):
                with pytest.raises(LockLost):
                    use()

    with pytest.raises(LockLost, match="canceled, or released"):
        work()
    assert client.get(lock.task_id).status == Status.CANCELED


@pytest.fixture
def strict(kind: str, strict_up: Up) -> Iterator[Any]:
    yield from opened(kind, strict_up.url, OPERATOR)


@pytest.fixture
def strict_workspace(new_workspace: Callable[..., str], strict_up: Up) -> str:
    return new_workspace(strict_up, Authorization=f"Bearer {OPERATOR}")


def test_an_operators_token_is_enough(strict: Any, strict_up: Up, kind: str, strict_workspace: str) -> None:
    with strict.lock(strict_workspace) as lock:
        first = lock.token
        deadline = lock._holding.deadline
        until(lambda: lock._holding.deadline > deadline + 2)
        assert lock.token == first
    assert strict.get(lock.task_id).succeeded
    for viewer in opened(kind, strict_up.url, VIEWER):
        with pytest.raises(problems.Forbidden), viewer.lock(strict_workspace):
            pass


def test_who_holds_it_may_ask(strict: Any, strict_workspace: str) -> None:
    with strict.lock(strict_workspace) as lock:

        def answered() -> Any:
            return strict.get(lock.task_id).question and strict.answer(lock.task_id, "b")

        answers = threading.Thread(target=until, args=(answered,))
        answers.start()
        assert strict.ask("Which?", ["a", "b"], task_id=lock.task_id, timeout=30).answer == "b"
        answers.join()
    with pytest.raises(problems.Ended):
        strict.ask("Which?", ["a", "b"], task_id=lock.task_id)


@pytest.fixture
def line(strict_up: Up) -> Iterator[Line]:
    line = Line(strict_up.url)
    yield line
    line.close()


@pytest.fixture
def far(kind: str, line: Line) -> Iterator[Any]:
    """A client behind the line."""
    yield from opened(kind, line.url, OPERATOR)


def test_it_is_lost_with_its_lease_before_others_are_granted_it(
    far: Any, line: Line, strict: Any, strict_workspace: str
) -> None:
    lock = far.lock(strict_workspace)

    def work() -> None:
        with lock:
            line.hold()
            assert lock.lost.wait(30)
            with pytest.raises(LockLost):
                lock.check()
            assert [one.task_id for one in next(strict.locks(strict_workspace)).holders] == [lock.task_id]
            line.go_on()

    with pytest.raises(LockLost, match="heartbeat"):
        work()
    task = strict.wait(lock.task_id, timeout=30)
    assert (task.status, task.reason) == (Status.FAILED, "runner-lost")
    with strict.lock(strict_workspace, wait=30):
        pass


def test_a_lock_that_is_garbage_is_given_back(client: Any, workspace: str) -> None:
    lock = client.lock(workspace)
    lock.__enter__()
    task_id = lock.task_id
    del lock
    gc.collect()
    task = client.wait(task_id, timeout=10)
    assert (task.status, task.reason) == (Status.FAILED, "error")
    assert "dropped" in task.message


def test_a_lock_is_used_once(client: Any, workspace: str) -> None:
    lock = client.lock(workspace)
    with pytest.raises(LockLost, match="not held"):
        lock.check()
    with lock:
        pass
    with pytest.raises(RuntimeError, match="once"), lock:
        pass


def test_a_short_outage_is_ridden_out(far: Any, line: Line, strict: Any, strict_workspace: str) -> None:
    with far.lock(strict_workspace) as lock:
        line.accepts = False
        line.cut()
        until(lambda: lock._holding.refusal is not None)
        line.accepts = True
        until(lambda: lock._holding.refusal is None)
        assert lock.token
    assert strict.get(lock.task_id).succeeded


def test_a_wait_that_is_canceled_leaves_no_claim(up: Up, workspace: str) -> None:
    async def work() -> None:
        async with AsyncClient(up.url) as client, client.lock(workspace):
            waiting = client.lock(workspace)
            task = asyncio.create_task(waiting.__aenter__())
            while not [one async for one in client.locks(workspace) if one.waiters]:
                await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.get(waiting.task_id)).status == Status.CANCELED
            (entry,) = [one async for one in client.locks(workspace)]
            assert entry.waiters == []

    asyncio.run(work())


def program(up: Up, workspace: str, token: str = "") -> subprocess.Popen[str]:
    """A program of its own that holds a lock until its stdin ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS, up.url, token, workspace],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_program_that_ends_inside_the_block_gives_it_back(up: Up, workspace: str) -> None:
    with program(up, workspace) as process, Client(up.url) as client:
        task_id = said(process)
        assert client.get(task_id).status == Status.RUNNING
        process.communicate("", timeout=30)
        assert process.returncode == 0
        assert client.get(task_id).status == Status.FAILED


def test_a_program_that_is_killed_loses_it_after_lease_and_grace(
    strict_up: Up, strict_workspace: str
) -> None:
    with program(strict_up, strict_workspace, OPERATOR) as process, Client(strict_up.url, OPERATOR) as client:
        task_id = said(process)
        process.send_signal(signal.SIGKILL)
        with client.lock(strict_workspace, wait=30):
            assert client.get(task_id).reason == "runner-lost"


def test_a_program_that_was_stopped_knows_at_once_that_its_lease_is_over(
    strict_up: Up, strict_workspace: str
) -> None:
    with program(strict_up, strict_workspace, OPERATOR) as process, Client(strict_up.url, OPERATOR) as client:
        task_id = said(process)
        process.send_signal(signal.SIGSTOP)
        assert client.wait(task_id, timeout=30).reason == "runner-lost"
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
        process.send_signal(signal.SIGCONT)
        assert said(process) == "lost"


def test_a_forked_child_has_no_lock_and_its_own_connections(up: Up, workspace: str) -> None:
    with Client(up.url) as client, client.lock(workspace) as lock:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # reports with one byte each, and never returns into the tests
            try:
                try:
                    lock.check()
                except LockLost:
                    os.write(write, b"1")
                lock.__exit__(None, None, None)
                os.write(write, b"2" if client.get(lock.task_id).status == "running" else b"-")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        assert os.read(read, 10) == b"12"
        os.close(read)
        assert client.get(lock.task_id).status == Status.RUNNING
        assert lock.token
