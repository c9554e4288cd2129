"""Titles of tasks, for output that names them by id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from infra.cli.client.http import Api, Json, path
from infra.errors.cli_error import CliError

FEW = 5
RECENT = 500
KEPT = 10_000


class Titles:
    """Titles by task id, each requested once; "" without an API, or if the API does not return it."""

    def __init__(self, api: Api | None) -> None:
        self._api = api
        self._known: dict[str, str] = {}

    def look_up(self, task_ids: Iterable[str]) -> None:
        """Load the titles of many tasks with few requests: most are among the newest tasks."""
        missing = {one for one in task_ids if one not in self._known}
        if self._api is None or len(missing) <= FEW:
            return
        try:
            tasks, _ = self._api.items("/tasks", RECENT)
            self._known |= {str(task["id"]): str(task["title"]) for task in tasks}
        except CliError:
            self._api = None

    def beside(self, rows: Sequence[Json]) -> list[Json]:
        """`rows` with a `title` each; a task's `created` event contains it."""
        return [{**row, "title": self._of(row)} for row in rows]

    def _of(self, row: Json) -> str:
        task_id = row.get("task_id")
        if not task_id:
            return ""
        told = row.get("data", {}).get("title") if row.get("event") == "created" else None
        if isinstance(told, str):
            self._keep(task_id, told)
        if task_id not in self._known:
            self._keep(task_id, self._asked(task_id))
        return self._known[task_id]

    def _asked(self, task_id: str) -> str:
        if self._api is None:
            return ""
        try:
            return str(self._api.get(path("tasks", task_id)).get("title") or "")
        except CliError:
            return ""

    def _keep(self, task_id: str, title: str) -> None:
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[task_id] = title
