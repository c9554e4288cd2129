"""The API on the real log: what a client sees across HTTP, from create to the trail."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import httpx

from api.app import begin_closing, create_app
from projections.lock_view import FoldedLockView
from tests.integration.api.live_api import LiveApi
from tests.support.waiting import eventually

TRAIL = ["created", "dispatched", "granted", "queued", "running", "succeeded", "released"]


async def test_a_task_with_a_workspace_lives_from_create_to_its_trail(live: LiveApi) -> None:
    assert (await live.http.put("/workspaces/acme", json={"root": "/srv/acme"})).status_code == 201
    task = await live.dispatched(workspace="acme", labels={"team": "a"})
    assert task["lock"]["state"] == "held"
    for status in ("queued", "running", "running", "succeeded", "queued"):
        answer = await live.report(task["id"], status, runner_id="r1")
        assert answer.status_code == 200, answer.text
    assert (await live.report(task["id"], "failed", runner_id="r1")).json()["code"] == "conflicting-end"

    async def trail() -> list[str]:
        items = (await live.http.get(f"/tasks/{task['id']}/events")).json()["items"]
        return [one["event"] for one in items]

    async def whole() -> bool:
        return await trail() == TRAIL

    await eventually(whole)
    for limit in (1, 3):
        names, cursor = [], ""
        while cursor is not None:
            query = f"limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            page = (await live.http.get(f"/tasks/{task['id']}/events?{query}")).json()
            names += [one["event"] for one in page["items"]]
            cursor = page["next_cursor"]
        assert names == TRAIL

    async def listed() -> bool:
        found = (await live.http.get("/tasks?label=team:a&status=succeeded&workspace=acme")).json()["items"]
        return [one["id"] for one in found] == [task["id"]]

    await eventually(listed)


async def test_lists_are_paged_from_the_read_model(live: LiveApi) -> None:
    ids = [(await live.dispatched())["id"] for _ in range(5)]

    async def applied() -> bool:
        return await live.core.read_model.position() >= 10

    await eventually(applied)
    first = (await live.http.get("/tasks?limit=3")).json()
    rest = (await live.http.get(f"/tasks?limit=3&cursor={first['next_cursor']}")).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == list(reversed(ids))
    assert (await live.http.get("/tasks?cursor=abc")).json()["code"] == "bad-cursor"


async def test_filters_of_the_log(live: LiveApi) -> None:
    await live.http.put("/workspaces/acme", json={"root": "/srv/acme"})
    task = await live.dispatched(workspace="acme")
    await live.dispatched()

    async def names(query: str) -> list[str]:
        return [one["event"] for one in (await live.http.get(f"/events?{query}")).json()["items"]]

    assert await names("event=created") == ["created", "created"]
    assert await names("workspace=acme") == ["registered", "created", "dispatched", "granted"]
    assert await names(f"task_id={task['id']}") == ["created", "dispatched", "granted"]
    assert len(await names("after_seq=2")) == 4
    beyond = await live.http.get("/events?after_seq=1000000")
    assert (beyond.status_code, beyond.json()["code"]) == (404, "beyond-the-log")


async def test_the_stream_goes_on_live_and_ends_on_closing(live: LiveApi) -> None:
    await live.dispatched()
    seen: list[int] = []
    async with live.http.stream("GET", "/events/stream?after_seq=0") as answer:
        async with asyncio.timeout(10):
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    seen.append(json.loads(line.removeprefix("data:"))["seq"])
                    if len(seen) == 2:
                        await live.dispatched()
                    if len(seen) == 4:
                        begin_closing(live.app)
    assert seen == [1, 2, 3, 4]


async def test_bad_input_appends_nothing(live: LiveApi) -> None:
    for path in ("/tasks/a.b", "/tasks/%3E", "/tasks/a%2eb/events", "/events?task_id=*", "/tasks/%00"):
        assert (await live.http.get(path)).status_code == 422
    for body in (b"{", b"\xff", b'{"command": []}', b'{"command": ["a\\u0000"]}', b"x" * 600_000):
        answer = await live.http.post("/tasks", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"

    async def chunks() -> object:
        for _ in range(100):
            yield b" " * 10_000

    big = await live.http.post("/tasks", content=chunks(), headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    assert await live.core.reader.last_seq() == 0


async def test_a_restarted_api_still_knows_the_lock_of_an_ended_task(live: LiveApi) -> None:
    await live.http.put("/workspaces/acme", json={"root": "/srv/acme"})
    task = await live.dispatched(workspace="acme")
    token = task["lock"]["token"]
    await live.report(task["id"], "succeeded", runner_id="r1")
    assert isinstance(live.parts.view, FoldedLockView)
    assert await live.parts.view.released(task["id"], 1)
    await live.parts.view.save()

    async def applied() -> bool:
        return await live.core.read_model.position() >= live.parts.view.seq

    await eventually(applied)
    view = FoldedLockView(live.core.reader, live.core.snapshots)
    following = asyncio.create_task(view.run())
    app = create_app(dataclasses.replace(live.parts, view=view))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as http:
        assert await view.caught_up(live.parts.view.seq)
        lock = (await http.get(f"/tasks/{task['id']}")).json()["lock"]
    following.cancel()
    assert (lock["state"], lock["token"]) == ("released", token)


async def test_times_at_the_ends_of_the_calendar_are_the_ends_of_the_log(live: LiveApi) -> None:
    await live.dispatched(pool="mine")
    everything = (await live.http.get("/events")).json()["items"]
    assert everything
    for query, wanted in (
        ({"from": "0001-01-01T00:00:00Z"}, everything),
        ({"from": "1969-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"}, everything),
        ({"from": "9999-12-31T23:59:59Z"}, []),
        ({"to": "0001-01-01T00:00:00Z"}, []),
    ):
        answer = await live.http.get("/events", params=query)
        assert (answer.status_code, answer.json()["items"]) == (200, wanted), query
