"""A crowd that waits in one workspace, and others who do not notice: real processes, compared with before."""

from __future__ import annotations

import asyncio
import time
from statistics import median

import httpx

from tests.acceptance.parts.pairs import answering_api, control_settings
from tests.support.nats import StartNats
from tests.support.towpath import DEADLINE, Client, Home, Json
from tests.support.waiting import eventually

WAITERS = 1000
PATHS = 256
AT_ONCE = 8
ROUNDS = 15
SLOWER = 6
"""By how much the median may grow: other programs use the machine. Comparing all pairs is a thousandfold."""
GRAIN_SECONDS = 0.02


async def test_those_who_wait_in_one_workspace_hold_up_nobody_else(home: Home, start_nats: StartNats) -> None:
    given = control_settings(home, start_nats(sync_interval="2m"))
    api = await answering_api(home, given)
    home.start("projector", "--only", "locks", **given)
    for name in ("crowd", "quiet"):
        api.workspace(name)
    async with httpx.AsyncClient(base_url=api.url, timeout=DEADLINE) as http:
        held = api.create(["true"], workspace="crowd", lock_paths=["held"], pool="nobody")
        await eventually(lambda: api.task(held)["lock"]["state"] == "held", DEADLINE)
        await _others(http)
        before = await _others(http)
        waiting = await _crowd(http)
        entry = (await http.get("/workspaces/crowd/locks")).json()
        assert {one["task_id"] for one in entry["waiters"]} == set(waiting)
        assert [one["position"] for one in entry["waiters"]] == list(range(1, WAITERS + 1))
        after = await _others(http)
        for what, seconds in before.items():
            assert after[what] <= SLOWER * (seconds + GRAIN_SECONDS), (what, before, after)
        await _a_waiter_that_ends_leaves_the_rest(http, api, waiting)


async def _dispatch(http: httpx.AsyncClient, workspace: str, paths: list[str]) -> Json:
    body = {"command": ["true"], "workspace": workspace, "lock_paths": paths, "pool": "nobody"}
    answer = await http.post("/tasks", params={"dispatch": True}, json=body)
    assert answer.status_code == 201, answer.text
    task: Json = answer.json()
    return task


async def _crowd(http: httpx.AsyncClient) -> list[str]:
    """Claims of 256 paths each, all disjoint but for the path that is held."""
    numbers, waiting = iter(range(WAITERS)), list[str]()

    async def come() -> None:
        for number in numbers:
            own = [f"part-{number}/module-{one}/main.py" for one in range(PATHS - 1)]
            task = await _dispatch(http, "crowd", [f"held/{number}", *own])
            assert task["lock"]["state"] == "waiting"
            waiting.append(task["id"])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(come())
    return waiting


async def _others(http: httpx.AsyncClient) -> dict[str, float]:
    """Median seconds of a grant elsewhere, one beside the crowd, and `/livez` while they are on their way."""
    taken: dict[str, list[float]] = {"elsewhere": [], "beside": [], "livez": []}

    async def timed(what: str, workspace: str, path: str) -> None:
        started = time.perf_counter()
        task = await _dispatch(http, workspace, [path])
        taken[what].append(time.perf_counter() - started)
        assert task["lock"]["state"] == "held"
        assert (await http.post(f"/tasks/{task['id']}/cancel", json={})).status_code == 202

    async def alive() -> None:
        started = time.perf_counter()
        assert (await http.get("/livez")).status_code == 200
        taken["livez"].append(time.perf_counter() - started)

    for number in range(ROUNDS):
        async with asyncio.TaskGroup() as group:
            group.create_task(timed("elsewhere", "quiet", f"own/{number}"))
            group.create_task(timed("beside", "crowd", f"free/{number}"))
            group.create_task(alive())
    return {what: median(seconds) for what, seconds in taken.items()}


async def _a_waiter_that_ends_leaves_the_rest(
    http: httpx.AsyncClient, api: Client, waiting: list[str]
) -> None:
    assert (await http.post(f"/tasks/{waiting[0]}/cancel", json={})).status_code == 202

    def gone() -> bool:
        entry = api.get("/workspaces/crowd/locks")
        return waiting[0] not in {one["task_id"] for one in entry["waiters"]}

    await eventually(gone, DEADLINE)
    why = api.get(f"/tasks/{waiting[1]}/why")
    assert [one["paths"] for one in why["blocked_by"]] == [["held"]]
