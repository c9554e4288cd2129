"""A Towpath API with canned answers, on a real socket: the command under test is a process of its own.

`answers` holds fixed ones. Beside them one task can live: creating it plays `script` on its event stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from domain.task.transitions import TERMINAL, Status
from tests.unit.infra.cli.shapes import event, task_read

Answer = tuple[int, Any]


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApi:
    """What it answers and what it was asked."""

    url: str = ""
    answers: dict[str, Answer] = field(
        default_factory=lambda: {"GET /workspaces": (200, {"items": [], "next_cursor": None})}
    )
    always: tuple[int, bytes] | None = None
    script: list[dict[str, Any]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    task: dict[str, Any] = field(default_factory=dict)
    breaks_after: int | None = None
    raw_sse: bytes = b""
    age: int = 0
    output: bytes | None = None
    """The output of the task that lives here; None: there is no such route."""
    complete: bool = True
    most: int = 1 << 20
    """Bytes in one range at most."""
    troubles: list[Answer] = field(default_factory=list)
    """What the next requests for output are answered; an empty one breaks the connection."""
    holds: dict[str, threading.Event] = field(default_factory=dict)
    """Requests that are answered only once the event is set."""

    def asked(self, method: str, path: str) -> list[Seen]:
        """The requests of this method and path so far."""
        return [one for one in self.seen if (one.method, one.path) == (method, path)]

    def record(self, recorded: dict[str, Any]) -> None:
        """Add an event to the log and to the task that lives here."""
        self.log.append({**recorded, "seq": len(self.log) + 1})
        if recorded["event"] in set(Status):
            ended = recorded["event"] in TERMINAL
            self.task |= {"status": recorded["event"], "finished_at": recorded["time"] if ended else None}
            self.task |= {name: recorded["data"].get(name) for name in ("exit_code", "output_tail", "reason")}

    def replace(self, log: list[dict[str, Any]]) -> None:
        """Another log, as after a restore: streams that are open end."""
        self.log = log
        self.age += 1

    async def answer(self, request: Request) -> Response:
        """Every request ends up here."""
        body = await request.body()
        path = request.url.path
        self.seen.append(
            Seen(
                request.method,
                path,
                request.query_params.multi_items(),
                dict(request.headers),
                json.loads(body) if body else None,
            )
        )
        held = self.holds.get(f"{request.method} {path}")
        while held is not None and not held.is_set():
            await asyncio.sleep(0.01)
        if self.always is not None:
            status, raw = self.always
            return Response(raw, status, {"location": "http://elsewhere.invalid/?token=1"})
        fixed = self.answers.get(f"{request.method} {path}")
        if fixed is not None:
            status, content = fixed
            text = "" if status == 204 else json.dumps(content)
            return Response(text, status, media_type="application/json")
        if path == "/events":
            after, limit = (int(request.query_params.get(name, 0)) for name in ("after_seq", "limit"))
            if after > len(self.log):
                return _beyond("beyond-the-log")
            return JSONResponse({"items": self.log[after : after + limit], "next_cursor": None})
        if path == "/events/stream":
            seq, _, event_id = request.headers.get("last-event-id", "0").partition(".")
            if int(seq) > len(self.log):
                return _beyond("beyond-the-log")
            if event_id and self.log[int(seq) - 1]["id"] != event_id:
                return _beyond("other-log")
            return StreamingResponse(self._stream(request), media_type="text/event-stream")
        if path.endswith("/output") and self.output is not None:
            return self._range(self.output, request)
        return self._of_task(request.method, path)

    def _range(self, output: bytes, request: Request) -> Response:
        if self.troubles:
            status, content = self.troubles.pop(0)
            if not content:
                return Response(b"half", 200, {"content-length": "100"})
            return JSONResponse(content, status)
        offset = int(request.query_params["offset"])
        begin = offset if offset >= 0 else max(0, len(output) + offset)
        limit = min(self.most, int(request.query_params["limit"]))
        complete = "true" if self.complete else "false"
        figures = {"Attempt": 1, "Offset": begin, "Size": len(output), "Complete": complete, "Cut": 0}
        headers = {f"Towpath-Output-{name}": str(value) for name, value in figures.items()}
        return Response(output[begin : begin + limit], 200, headers, "text/plain")

    def _of_task(self, method: str, path: str) -> Response:
        if (method, path) == ("POST", "/tasks"):
            return JSONResponse(self._create(self.seen[-1]), 201)
        if (method, path) == ("GET", f"/tasks/{self.task.get('id')}"):
            return JSONResponse(self.task)
        if (method, path) == ("POST", f"/tasks/{self.task.get('id')}/cancel"):
            self.record(event("canceled", task_id=self.task["id"]))
            return JSONResponse(self.task, 202)
        return JSONResponse({"title": "Not Found", "status": 404, "detail": "no such thing"}, 404)

    def _create(self, seen: Seen) -> dict[str, Any]:
        self.task = task_read(**{"status": "created", **seen.body})
        if ("dispatch", "true") in seen.query:
            self.record(event("dispatched", task_id=self.task["id"]))
            self.task["seq"] = len(self.log)
            answer = dict(self.task)
            for recorded in self.script:
                self.record(recorded)
            return answer
        return self.task

    async def _stream(self, request: Request) -> AsyncIterator[bytes]:
        position = int(request.headers.get("last-event-id", "0").partition(".")[0])
        yield f"retry: 1000\nid: {position}\n\n: hello\n\n".encode()
        if self.raw_sse:
            yield self.raw_sse
            return
        if self.breaks_after == position:
            self.breaks_after = None
            return
        age = self.age
        while not await request.is_disconnected() and self.age == age:
            for recorded in self.log[position:]:
                position = recorded["seq"]
                yield f"id: {position}\ndata: {json.dumps(recorded, ensure_ascii=False)}\n\n".encode()
                if self.breaks_after == position:
                    self.breaks_after = None
                    return
            await asyncio.sleep(0.01)


def _beyond(code: str) -> Response:
    return JSONResponse({"type": f"urn:towpath:problem:{code}", "status": 404, "detail": "not this log"}, 404)


@contextlib.contextmanager
def serving() -> Iterator[FakeApi]:
    """A FakeApi on a free port of loopback."""
    api = FakeApi()
    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", api.answer, methods=methods)])
    config = uvicorn.Config(
        app, "127.0.0.1", 0, log_config=None, ws="none", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    started = threading.Event()

    async def serve() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        api.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10), "the fake API did not start"
    try:
        yield api
    finally:
        server.should_exit = True
        thread.join(10)
