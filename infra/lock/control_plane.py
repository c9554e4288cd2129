"""The API's requests of `towpath lock`, as an operator and as a runner with a key of its own."""

from __future__ import annotations

import os
import time

from domain.runners.runner_key import PREFIX, runner_id_of
from infra.lock.connection import Connection, quoted
from infra.lock.ids import uuid7

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

ATTEMPT = 1
BEAT_SECONDS = 5.0
PAGE = 500
_WORKSPACES = "/workspaces"
JOB_TOKEN_FIELD = "towpath-job-token"  # noqa: S105 - a header


class ControlPlane:
    """One API, as one runner of one task. Every method raises Unanswered or Problem."""

    def __init__(self, url: str, token: str | None) -> None:
        self.host = os.uname().nodename
        key = PREFIX + os.urandom(32).hex()
        self.runner_id = runner_id_of(self.host, key)
        self.task_id = uuid7()
        self.job_token: str | None = None
        """With which the command asks questions; from the answer to `running`."""
        self._url = url
        self._headers = {"X-Runner-Token": key, "Accept": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._counter = 0
        self.main = self.connection()

    def connection(self) -> Connection:
        """Another connection, for another thread. Raises ValueError for a URL that is none."""
        return Connection(self._url, self._headers)

    def begin(self, workspace: str | None) -> None:
        """Ask for that workspace, or for all, while the caller has other work."""
        self.main.begin(f"{_WORKSPACES}?limit={PAGE}" if workspace is None else _workspace(workspace))

    def workspaces(self) -> list[Json]:
        """All registered workspaces."""
        found: list[Json] = []
        cursor = ""
        while True:
            page = self.main.ask("GET", f"{_WORKSPACES}?limit={PAGE}{cursor}")
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={quoted(page['next_cursor'])}"

    def workspace(self, name: str) -> Json:
        """One registered workspace."""
        found: Json = self.main.ask("GET", _workspace(name))
        return found

    def claim(self, spec: Json) -> Json:
        """Create the task, for this runner alone, and dispatch it. May be repeated."""
        body = {"id": self.task_id, "pool": self.runner_id, **spec}
        found: Json = self.main.ask("POST", "/tasks?dispatch=true", body)
        return found

    def task(self, task_id: str | None = None) -> Json:
        """The task, or another one, as it is now."""
        found: Json = self.main.ask("GET", f"/tasks/{task_id or self.task_id}")
        return found

    def why(self) -> Json:
        """What it waits for."""
        found: Json = self.main.ask("GET", f"/tasks/{self.task_id}/why")
        return found

    def blockers(self, task_id: str) -> list[str]:
        """The tasks for whose locks a task waits."""
        found: list[str] = self.task(task_id)["lock"]["blocked_by"]
        return found

    def cancel(self, reason: str, seconds: float) -> Json:
        """Withdraw the claim; the task as it is then."""
        path = f"/tasks/{self.task_id}/cancel"
        found: Json = self.main.ask("POST", path, {"reason": reason}, seconds)
        return found

    def report(self, seconds: float, **fields: Any) -> Json:
        """Report about the attempt; the task as it is then."""
        body = {"attempt": ATTEMPT, "runner_id": self.runner_id, **fields}
        path = f"/runner/tasks/{self.task_id}/status"
        found: Json = self.main.ask("POST", path, body, seconds)
        self.job_token = self.main.fields.get(JOB_TOKEN_FIELD, self.job_token)
        return found

    def beat(
        self, connection: Connection, held: bool, leaving: bool = False, seconds: float = BEAT_SECONDS
    ) -> Json:
        """One heartbeat; the answer says what is wanted, and how long the lease lasts."""
        self._counter = max(self._counter + 1, int(time.time() * 1000))
        body = {
            "runner_id": self.runner_id,
            "pools": [self.runner_id],
            "host": self.host,
            "capacity": 1,
            "counter": self._counter,
            "held": [{"task_id": self.task_id, "attempt": ATTEMPT}] if held else [],
            "leaving": leaving,
        }
        found: Json = connection.ask("POST", "/runner/heartbeat", body, seconds)
        return found


def _workspace(name: str) -> str:
    return f"{_WORKSPACES}/{quoted(name)}"
