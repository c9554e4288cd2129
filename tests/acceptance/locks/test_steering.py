"""Canceling and releasing by hand: before anything runs, while it waits at its runner, while it runs."""

from __future__ import annotations

import httpx

from tests.acceptance.jobs import hold, let_go, resisting
from tests.support.towpath import DEADLINE, ENDED, Home, Up
from tests.support.waiting import eventually

ROUNDS = 16


async def test_cancel_while_waiting_and_while_running(up: Up) -> None:
    root = up.workspace("canceled")
    running = up.create(resisting("kept"), workspace="canceled", lock_paths=["src"])
    await eventually(lambda: (root / "kept.log").exists(), DEADLINE)
    waiting = up.create(["touch", "never"], workspace="canceled", lock_paths=["src"])

    assert up.told("cancel", waiting)["status"] == "canceled"
    assert up.towpath("cancel", running).returncode == 0
    ended = up.towpath("wait", running)
    assert ended.returncode == 3
    size = (root / "kept.log").stat().st_size
    assert up.task(running)["status"] == "canceled"
    await eventually(lambda: running not in up.holders(), DEADLINE)
    trail = [event["event"] for event in up.told("trail", running)]
    assert trail[-3:] == ["cancel-requested", "canceled", "released"]
    assert up.towpath("cancel", running).returncode == 0  # it is canceled already
    after = up.towpath("run", "-w", "canceled", "--path", "src", "--", "ls")
    assert after.stdout.split() == ["kept.log"]
    assert (root / "kept.log").stat().st_size == size


async def test_a_cancel_that_races_the_end_has_one_winner(up: Up) -> None:
    """Let the job go and cancel it in the same moment, in turns one before the other, again and again."""
    root = up.workspace("raced")
    script = "until [ -e $TOWPATH_TASK_ID.go ]; do :; done; touch $TOWPATH_TASK_ID.done"
    for number in range(ROUNDS):
        task_id = up.create(["sh", "-c", script], workspace="raced", lock_paths=[str(number)])
        await eventually(lambda task_id=task_id: up.task(task_id)["status"] == "running", DEADLINE)
        if number % 2:
            let_go(root, task_id)
        canceled = httpx.post(f"{up.url}/tasks/{task_id}/cancel", timeout=30)
        if not number % 2:
            let_go(root, task_id)
        task = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
        assert task["status"] in {"succeeded", "canceled"}
        if task["status"] == "succeeded":
            assert (task["exit_code"], (root / f"{task_id}.done").exists()) == (0, True)
        assert canceled.status_code == 202 or task["status"] == "succeeded"
        await eventually(lambda task_id=task_id: task_id not in up.holders(), DEADLINE)
        trail = [event["event"] for event in up.events(task_id=task_id)]
        assert [name for name in trail if name in ENDED] == [task["status"]]
        assert trail[-1] == "released"
        assert trail.count("released") == 1


async def test_cancel_while_queued_at_a_busy_runner(home: Home) -> None:
    up = home.up(TOWPATH_RUNNER_CAPACITY="1")
    root = up.workspace("shop")
    busy = hold(up, root, "shop", ["src"])
    await eventually(lambda: up.task(busy)["status"] == "running", DEADLINE)
    queued = up.create(["touch", "never"], workspace="shop", lock_paths=["docs"])
    await eventually(lambda: up.task(queued)["status"] == "queued", DEADLINE)

    assert up.towpath("cancel", queued).returncode == 0
    assert up.towpath("wait", queued, "--timeout", "60").returncode == 3
    let_go(root, busy)
    assert up.towpath("wait", busy).returncode == 0
    assert (up.task(queued)["status"], up.task(busy)["status"]) == ("canceled", "succeeded")
    assert not (root / "never").exists()
    await eventually(lambda: up.holders() == {}, DEADLINE)
    assert up.server.interrupt() == 0


async def test_a_release_by_hand_says_that_a_process_may_still_write(up: Up) -> None:
    up.workspace("released")
    mine = up.create(["true"], workspace="released", lock_paths=["src"], pool="mine")
    up.post(f"/runner/tasks/{mine}/status", {"status": "running"})
    waiter = up.create(["true"], workspace="released", lock_paths=["src"])
    assert up.towpath("release", mine).returncode == 2  # no reason given

    freed = up.towpath("release", mine, "--reason", "its host burned down")
    assert freed.returncode == 0
    assert "may still be writing" in freed.stderr
    assert up.towpath("wait", waiter).returncode == 0
    assert up.task(mine)["status"] == "running"
    assert up.task(mine)["cancel_requested"]
    (released,) = up.events(task_id=mine, event="released")
    assert (released["data"]["cause"], released["data"]["by"]) == ("operator", "api")
    again = up.told("release", mine, "--reason", "again")
    assert (again["released_paths"], again["process_may_run"]) == ([], True)
    late = up.post(f"/runner/tasks/{mine}/status", {"status": "canceled"})
    assert late["status"] == "canceled"
