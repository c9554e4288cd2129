"""Operations on Towpath by HTTP and NATS, each written into the history before it is sent and once it ends.

What an answer proves decides how it is written: 2xx `ok`, 4xx `fail` (it must have changed nothing), anything
else, also 5xx and silence, `unknown`. Two refusals answer an append that stands:
a claim that is refused (`workspace-locked`), and one that is void (`workspace-changed`).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client

from tests.chaos.clients.http_client import NoAnswer, request
from tests.chaos.history import History, Json, pid_of, words_of

REQUEST_SECONDS = 6.0
PUBLISH_SECONDS = 3.0
PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0
STANDS = ("workspace-locked", "workspace-changed")
UNREGISTERED = "no-such-workspace"
ENDED = ("succeeded", "failed", "canceled", "submit-failed")


@dataclass(frozen=True)
class Answer:
    """What one operation came to. `code` is the problem's, `task` the TaskRead."""

    outcome: str
    code: str = ""
    task: Json | None = None

    @property
    def definite(self) -> bool:
        return self.outcome != "unknown"


class Operators:
    """All clients of a run. `ways` are the addresses under which the API is reached, used at random."""

    def __init__(
        self, history: History, ways: Sequence[tuple[str, int]], tokens: tuple[str, str], seed: int
    ) -> None:
        self.history = history
        self.counts: Counter[tuple[str, str]] = Counter()
        self.server_errors: Counter[str] = Counter()
        self.nats: Client | None = None
        self._random = random.Random(seed)
        self._ways = list(ways)
        api_token, self._runner_token = tokens
        self._headers = {"Authorization": f"Bearer {api_token}"}

    async def close(self) -> None:
        if self.nats is not None:
            await self.nats.close()

    # ------------------------------------------------------------------ operations

    async def create(self, who: str, task: str, spec: Json, dispatch: bool) -> Answer:
        """Create a task under an id of ours, as often as it takes: one operation, for it is idempotent."""
        op = self.history.invoke(who, "create", task=task, dispatch=dispatch)
        body = {**spec, "id": task, "labels": {"op": str(op)}}
        for pause in _pauses():
            answer = await self._send(op, f"/tasks?dispatch={str(dispatch).lower()}", body)
            if answer.code == UNREGISTERED:  # of the create, or of the dispatch after it
                self._end(op, "create", Answer("unknown", answer.code))
                return answer
            if answer.definite:
                return self._end(op, "create", answer)
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def dispatch(self, who: str, task: str) -> Answer:
        """Begin the next attempt, once."""
        op = self.history.invoke(who, "dispatch", task=task)
        return self._end(op, "dispatch", await self._send(op, f"/tasks/{task}/dispatch", None))

    async def cancel(self, who: str, task: str) -> Answer:
        """Ask once."""
        op = self.history.invoke(who, "cancel", task=task)
        return self._end(
            op, "cancel", await self._send(op, f"/tasks/{task}/cancel", {"reason": words_of(op)})
        )

    async def release(self, who: str, task: str) -> Answer:
        """Free by hand, once."""
        op = self.history.invoke(who, "release", task=task)
        answer = await self._send(op, f"/tasks/{task}/locks/release", {"reason": words_of(op)})
        return self._end(op, "release", answer)

    async def ask(self, who: str, task: str, attempt: int, runner: str | None, expires: float | None) -> str:
        """Ask once, as a job would; the question's id. Its default counts after `expires` seconds."""
        op = self.history.invoke(who, "ask", task=task, attempt=attempt)
        body: Json = {"question_id": f"q{op}", "text": words_of(op), "free_text": True, "attempt": attempt}
        if runner is not None:
            body["runner_id"] = runner
        if expires is not None:
            body |= {"choices": ["go on"], "default": "go on", "expires_seconds": expires}
        self._end(op, "ask", await self._send(op, f"/runner/tasks/{task}/questions", body, runner=True))
        return f"q{op}"

    async def answer(self, who: str, task: str, question: str) -> Answer:
        """Answer once."""
        op = self.history.invoke(who, "answer", task=task)
        answer = await self._send(op, f"/tasks/{task}/questions/{question}/answer", {"text": words_of(op)})
        return self._end(op, "answer", answer)

    async def report(
        self, who: str, task: str, attempt: int, status: str, runner: str | None, by: str = "http"
    ) -> Answer:
        """Say once what became of an attempt."""
        op = self.history.invoke(who, "report", task=task, attempt=attempt, status=status, by=by)
        body: Json = {"status": status, "attempt": attempt, "message": words_of(op)}
        if runner is not None:
            body["runner_id"] = runner
        if status == "running":
            body["pid"] = pid_of(op)
        if by == "nats":
            return self._end(op, "report (nats)", await self._publish(op, task, body))
        return self._end(
            op, f"report ({status})", await self._send(op, f"/runner/tasks/{task}/status", body, runner=True)
        )

    async def report_until_answered(
        self, who: str, task: str, attempt: int, status: str, runner: str | None, by: str = "http"
    ) -> Answer:
        """As a runner does: again, each time as an operation of its own, until the answer says something."""
        for pause in _pauses():
            answer = await self.report(who, task, attempt, status, runner, by)
            if answer.definite and answer.code != "not-granted":
                return answer
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def look(self, task: str) -> Json:
        """The task as it is now, however long it takes to be told."""
        for pause in _pauses():
            status, told = await self._ask("GET", f"/tasks/{task}", None, {})
            if status == 200:
                return dict(told)
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def of_lock_command(self, number: str) -> Json | None:
        """The task of a `towpath lock`, if it made one, however long it takes to be told."""
        for pause in _pauses():
            status, told = await self._ask("GET", f"/tasks?label=lock:{number}", None, {})
            if status == 200:
                return dict(told["items"][0]) if told["items"] else None
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def register(self, workspace: str, root: str) -> None:
        """Register a workspace, however long it takes."""
        for pause in _pauses():
            status, _ = await self._ask("PUT", f"/workspaces/{workspace}", {"root": root}, {})
            if status in (200, 201):
                return
            await asyncio.sleep(pause)

    async def move(self, workspace: str, root: str, on_runner_lost: str) -> None:
        """Register a workspace anew, once: another root, another policy, or the same again."""
        body = {"root": root, "on_runner_lost": on_runner_lost}
        status, told = await self._ask("PUT", f"/workspaces/{workspace}", body, {})
        self._registered(workspace, root, status, told)

    async def remove(self, workspace: str) -> None:
        """Take a workspace off the register, once."""
        status, told = await self._ask("DELETE", f"/workspaces/{workspace}", None, {})
        self._registered(workspace, None, status, told)

    def _registered(self, workspace: str, root: str | None, status: int, told: Any) -> None:
        """Write what became of it. The answer says which event it led to: none carries our number."""
        outcome = "ok" if 200 <= status < 300 else "fail" if 400 <= status < 500 else "unknown"
        answer = told if isinstance(told, dict) else {}
        said = {name: answer[name] for name in ("seq", "code") if name in answer}
        self.history.note("registration", workspace=workspace, root=root, outcome=outcome, **said)
        self.counts["remove" if root is None else "move", outcome] += 1

    # ------------------------------------------------------------------ sending

    async def _ask(
        self, method: str, path: str, body: Json | None, headers: dict[str, str]
    ) -> tuple[int, Any]:
        """Status and answer; 0 and a word where none came."""
        way, headers = self._random.choice(self._ways), {**self._headers, **headers}
        try:
            return await request(way, method, path, body, headers, REQUEST_SECONDS)
        except NoAnswer as error:
            return 0, str(error)

    async def _send(self, op: int, path: str, body: Json | None, runner: bool = False) -> Answer:
        headers = {"X-Chaos-Op": str(op)}
        if runner and self._runner_token:
            headers["X-Runner-Token"] = self._runner_token
        status, told = await self._ask("POST", path, body, headers)
        if status == 0:
            return Answer("unknown", told)
        if 200 <= status < 300:
            return Answer("ok", "", told)
        code = str(told.get("code", status))
        if status >= 500:
            self.server_errors[f"{status} {code}"] += 1
            return Answer("unknown", f"{status} {code}")
        if code in STANDS:
            return Answer("ok", code, {"id": told.get("task_id"), "attempt": told.get("attempt")})
        return Answer("fail", code)

    async def _publish(self, op: int, task: str, body: Json) -> Answer:
        if self.nats is None:
            return Answer("unknown", "no connection")
        headers = {"Nats-Msg-Id": f"chaos.{op}"}
        if self._runner_token:
            headers["X-Runner-Token"] = self._runner_token
        try:
            await self.nats.jetstream().publish(
                f"towpath.report.{task}",
                json.dumps(body).encode(),
                stream="TOWPATH_REPORT",
                timeout=PUBLISH_SECONDS,
                headers=headers,
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            return Answer("unknown", type(error).__name__)
        return Answer("ok")

    def _end(self, op: int, do: str, answer: Answer) -> Answer:
        told = answer.task or {}
        fields = {name: told[name] for name in ("seq", "version", "status", "attempt") if name in told}
        if "released_paths" in told:
            fields["released"] = bool(told["released_paths"])
        if answer.code:
            fields["code"] = answer.code
        self.history.note(answer.outcome, op=op, **fields)
        self.counts[do, answer.outcome] += 1
        return answer


def _pauses() -> Any:
    return itertools.chain((PAUSE_SECONDS * 2**n for n in range(4)), itertools.repeat(LONGEST_PAUSE_SECONDS))
