"""A workspace stays where it is while tasks hold or wait in it, played on a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.acceptance.jobs import hold, let_go
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import eventually

CONFLICT = 6
ROUNDS = 12


def refused(up: Up, code: str, *command: str) -> None:
    """The command ends with a conflict and says what is in the way."""
    done = up.towpath("workspaces", *command)
    assert done.returncode == CONFLICT, done.stdout + done.stderr
    words = {"in-use": "while tasks hold or wait in it", "overlap": "overlaps"}
    assert words[code] in done.stderr


async def test_a_held_directory_has_no_second_owner(up: Up) -> None:
    root = up.workspace("kept")
    elsewhere = root.parent / "kept-elsewhere"
    (root / "inside").mkdir()
    elsewhere.mkdir()
    link = root.parent / "kept-by-link"
    link.symlink_to(root)
    holder = hold(up, root, "kept", [])
    await eventually(lambda: up.task(holder)["status"] == "running", DEADLINE)
    waiter = up.create(["pwd"], workspace="kept")

    refused(up, "in-use", "add", "kept", str(elsewhere))
    refused(up, "in-use", "add", "kept", str(root / "inside"))
    refused(up, "in-use", "remove", "kept")
    for taken in (root, root / "inside", root.parent, link, f"{root}/inside/.."):
        refused(up, "overlap", "add", "thief", str(taken))
    changed = up.towpath("workspaces", "add", "kept", str(root), "--on-runner-lost", "hold")
    assert changed.returncode == 0, changed.stderr

    let_go(root, holder)
    ended = await eventually(lambda: up.ended(waiter), DEADLINE)
    assert ended["output_tail"].strip() == str(root)
    await eventually(lambda: not {holder, waiter} & set(up.holders()), DEADLINE)
    assert up.towpath("workspaces", "add", "kept", str(elsewhere)).returncode == 0
    assert up.towpath("workspaces", "add", "thief", str(root)).returncode == 0
    there = [up.towpath("run", "-w", name, "--", "pwd").stdout.strip() for name in ("kept", "thief")]
    assert there == [str(elsewhere), str(root)]


async def test_moves_that_race_with_dispatches_have_one_winner(up: Up) -> None:
    """Whatever comes first in the log counts: the task works in its workspace's directory, or not at all."""
    one = up.workspace("raced-moves")
    two = one.parent / "raced-moves-2"
    two.mkdir()
    roots = (one, two)
    async with httpx.AsyncClient(base_url=up.url, timeout=30) as http:
        for number in range(ROUNDS):
            spec = {"command": ["pwd"], "workspace": "raced-moves", "execution_mode": "shared-workspace"}
            task_id = (await http.post("/tasks", json=spec)).json()["id"]
            moved, sent = await asyncio.gather(
                http.put("/workspaces/raced-moves", json={"root": str(roots[(number + 1) % 2])}),
                http.post(f"/tasks/{task_id}/dispatch"),
            )
            assert moved.status_code in (200, 409), moved.text
            assert sent.status_code in (202, 409), sent.text
            task = await eventually(lambda task_id=task_id: up.ended(task_id), DEADLINE)
            if sent.status_code == 409:
                assert sent.json()["type"].endswith(":workspace-changed")
                assert (task["status"], task["reason"]) == ("submit-failed", "workspace-changed")
            else:
                assert Path(task["output_tail"].strip()) in roots
            await eventually(lambda task_id=task_id: task_id not in up.holders(), DEADLINE)
    whole = up.towpath("verify")
    assert whole.returncode == 0, whole.stdout + whole.stderr
