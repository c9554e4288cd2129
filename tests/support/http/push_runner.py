"""The simplest runner there is: takes POSTs, answers 202 without a runner id, later POSTs what happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.http.http_service import QuietHandler, serving

Json = dict[str, Any]


@dataclass
class PushRunner:
    """`answer` is what the next submissions get."""

    url: str = ""
    answer: tuple[int, Json] = (202, {"status": "queued"})
    posts: list[tuple[str, Json]] = field(default_factory=list)

    def submission(self, task_id: str) -> Json | None:
        """The last submission of a task, if it has come."""
        found = [body for path, body in self.posts if path == "/tasks/submit" and body["task_id"] == task_id]
        return found[-1] if found else None

    def say(self, submission: Json, status: str, token: str | None = None, **more: Any) -> httpx.Response:
        """POST a status to the callback URL, by default with the attempt's own token."""
        headers = {"X-Runner-Token": token or submission["status_callback_token"]}
        return httpx.post(
            submission["status_callback_url"], json={"status": status, **more}, headers=headers, timeout=30
        )


@contextmanager
def push_runner() -> Iterator[PushRunner]:
    """A runner on a free port; afterwards nothing listens there."""
    runner = PushRunner()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code, answer = runner.answer
            if self.path == "/tasks/submit" and code == 202:
                answer = {**answer, "task_id": json.loads(body)["task_id"]}
            runner.posts.append((self.path, json.loads(body)))
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

    with serving(Handler) as runner.url:
        yield runner
