"""Requests beyond the bound are answered at once, and none is kept waiting for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from api.middleware.admission import Admit
from api.problems import HttpProblem, http_response
from tests.support.waiting import eventually


class Slow:
    """An application that answers when told to, after it has read the body."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "POST":
                await Request(scope, receive).body()
        except HttpProblem as refused:
            await http_response(refused)(scope, receive, send)
            return
        self.inside += 1
        try:
            await self.open.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        finally:
            self.inside -= 1


@pytest.fixture
def slow() -> Slow:
    return Slow()


def client(slow: Slow, limit: int = 2, seconds: float = 60.0, body_bytes: int = 1000) -> httpx.AsyncClient:
    app = Admit(slow, limit, body_limit=600, seconds=seconds, body_bytes=body_bytes)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://towpath")


async def test_beyond_the_bound_the_answer_comes_at_once_and_later_there_is_room(slow: Slow) -> None:
    async with client(slow) as http:
        waiting = [asyncio.create_task(http.get("/tasks")) for _ in range(2)]
        await eventually(lambda: slow.inside == 2)
        refused = await http.get("/tasks")
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]
        assert (await http.get("/tasks")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/tasks/1/questions/a"),
        ("GET", "/tasks/1/questions/a?wait=0"),
        ("GET", "/tasks/1/questions/a?wait=9&wait=0"),
        ("GET", "/tasks/1/questions/a?nowait=9"),
        ("GET", "/tasks/1/questions/a?wait=x"),
        ("PUT", "/tasks/1/output"),
        ("DELETE", "/tasks/1/questions/a?wait=9"),
    ],
)
async def test_what_does_not_wait_takes_a_slot(slow: Slow, method: str, path: str) -> None:
    async with client(slow, limit=1) as http:
        waiting = asyncio.create_task(http.get("/tasks"))
        await eventually(lambda: slow.inside == 1)
        assert (await http.request(method, path)).json()["code"] == "overloaded"
        slow.open.set()
        assert (await waiting).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/livez", "/readyz", "/metrics", "/events/stream"),
        *("/tasks/1/output", "/tasks/1/questions/a?wait=9", "/tasks/1/questions/a?wait=0&wait=0.5"),
    ],
)
async def test_probes_and_live_streams_do_not_count(slow: Slow, path: str) -> None:
    async with client(slow, limit=1) as http:
        waiting = [asyncio.create_task(http.get("/tasks")), asyncio.create_task(http.get(path))]
        await eventually(lambda: slow.inside == 2)
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200]


JSON = {"Content-Type": "application/json"}
STATUS = "/runner/tasks/1/status"


@dataclass
class HalfOpen:
    """A request whose body has begun and does not end until `finish`."""

    path: str = "/tasks"
    sent: bytes = b"x"
    declared: int = 500
    answers: list[Message] = field(default_factory=list)
    more: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    reads: int = 0

    async def run(self, app: Admit) -> None:
        self.more.put_nowait({"type": "http.request", "body": self.sent, "more_body": True})
        headers = [(b"content-length", str(self.declared).encode()), (b"content-type", b"application/json")]
        scope: Scope = {"type": "http", "method": "POST", "path": self.path, "headers": headers}
        await app(scope, self.receive, self.keep)

    async def receive(self) -> Message:
        message = await self.more.get()
        self.reads += 1
        return message

    async def keep(self, message: Message) -> None:
        self.answers.append(message)

    def finish(self) -> None:
        self.more.put_nowait({"type": "http.request", "body": b"y", "more_body": False})

    @property
    def status(self) -> int | None:
        return self.answers[0]["status"] if self.answers else None


async def test_half_open_bodies_take_no_place_and_no_room_but_for_what_has_come(slow: Slow) -> None:
    app = Admit(slow, limit=2, body_limit=600, body_bytes=1000)
    halves = [HalfOpen() for _ in range(132)]
    running = [asyncio.create_task(one.run(app)) for one in halves]
    await eventually(lambda: all(one.reads for one in halves))
    slow.open.set()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://towpath") as http:
        for path in ("/tasks", STATUS):
            assert (await http.post(path, content=b"x" * 500, headers=JSON)).status_code == 200
        assert (await http.get("/tasks")).status_code == 200
    for one in halves:
        one.finish()
    await asyncio.gather(*running)
    assert {one.status for one in halves} == {200}


async def test_room_is_taken_from_the_body_that_has_been_coming_for_longest(slow: Slow) -> None:
    app = Admit(slow, limit=10, body_limit=600, body_bytes=1000)
    slow.open.set()
    oldest, newer = HalfOpen(sent=b"x" * 450), HalfOpen(sent=b"x" * 450)
    running = [asyncio.create_task(one.run(app)) for one in (oldest, newer)]
    await eventually(lambda: oldest.reads and newer.reads)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://towpath") as http:
        assert (await http.post("/tasks", content=b"x" * 500, headers=JSON)).status_code == 200
    await eventually(lambda: oldest.status == 503)
    assert newer.status is None
    newer.finish()
    await asyncio.gather(*running)
    assert newer.status == 200


async def test_bodies_that_are_whole_keep_their_room(slow: Slow) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 500

    async with client(slow, limit=100) as http:
        waiting = [
            asyncio.create_task(http.post("/tasks", content=b"x" * 500, headers=JSON)) for _ in range(2)
        ]
        await eventually(lambda: slow.inside == 2)
        for large in (b"x" * 500, chunks()):
            refused = await http.post("/tasks", content=large, headers=JSON)
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        waiting.append(asyncio.create_task(http.post(STATUS, content=b"x" * 500, headers=JSON)))
        await eventually(lambda: slow.inside == 3)
        slow.open.set()
        assert [one.status_code for one in await asyncio.gather(*waiting)] == [200, 200, 200]
        assert (await http.post("/tasks", content=b"x" * 500, headers=JSON)).status_code == 200


async def test_what_comes_counts_whatever_was_declared(slow: Slow) -> None:
    app = Admit(slow, limit=2, body_limit=600, body_bytes=1000)
    liar = HalfOpen(declared=1, sent=b"x" * 601)
    await liar.run(app)
    assert liar.status == 413


async def test_a_body_has_to_come_within_its_time(slow: Slow) -> None:
    app = Admit(slow, limit=2, body_limit=600, body_seconds=0.05)
    trickle = HalfOpen()
    running = asyncio.create_task(trickle.run(app))
    while not running.done():
        trickle.more.put_nowait({"type": "http.request", "body": b"", "more_body": True})
        await asyncio.sleep(0.001)
    await running
    assert trickle.status == 408
    assert slow.inside == 0


async def test_reports_and_heartbeats_have_places_that_nothing_else_takes(slow: Slow) -> None:
    async with client(slow, limit=8) as http:
        waiting = [asyncio.create_task(http.get("/tasks")) for _ in range(20)]
        await eventually(lambda: slow.inside == 6)
        waiting += [
            asyncio.create_task(http.post(path, content=b"{}", headers=JSON))
            for path in (STATUS, "/runner/heartbeat")
        ]
        await eventually(lambda: slow.inside == 8)
        slow.open.set()
        statuses = [one.status_code for one in await asyncio.gather(*waiting)]
    assert statuses[-2:] == [200, 200]
    assert sorted(statuses) == [200] * 8 + [503] * 14


async def test_a_reader_that_takes_no_answer_gives_its_place_back() -> None:
    cut: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def never(message: Message) -> None:
        await asyncio.Event().wait()

    admit = Admit(app, limit=1, body_limit=600, seconds=0.05)
    scope: Scope = {"type": "http", "method": "GET", "path": "/tasks", "headers": []}
    scope["extensions"] = {"towpath.abort": {"call": lambda: cut.append(True)}}
    async with asyncio.timeout(10):
        for _ in range(2):
            await admit(scope, asyncio.Queue[Message]().get, never)
    assert cut == [True, True]


async def test_what_takes_too_long_is_answered_and_forgotten(slow: Slow) -> None:
    async with client(slow, limit=1, seconds=0.05) as http:
        for _ in range(3):
            late = await http.post("/tasks", content=b"x", headers=JSON)
            assert (late.status_code, late.json()["code"]) == (503, "too-slow")
            assert "retry-after" in late.headers
            assert slow.inside == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_a_body_is_declared_as_json(slow: Slow, kind: str) -> None:
    slow.open.set()
    async with client(slow) as http:
        headers = {"Content-Type": kind} if kind else {}
        refused = await http.post("/tasks", content=b"{}", headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (415, "not-json")
        for known in ("application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"):
            answer = await http.post("/tasks", content=b"{}", headers={"Content-Type": known})
            assert answer.status_code == 200
