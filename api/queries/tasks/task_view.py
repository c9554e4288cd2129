"""TaskRead of a task that was just loaded or changed.

A loaded task object is reused for the next change, so it is converted before any await; otherwise `seq` and
`status` could belong to different moments.
"""

from __future__ import annotations

from starlette.responses import Response

from api.dependencies import ApiParts
from domain.ports.log import StoredTask
from domain.task.view import TaskRead, task_read


def shown(parts: ApiParts, stored: StoredTask) -> TaskRead:
    """The task after `stored.seq`, with its lock as this process has folded it."""
    return task_read(stored.task, stored.seq, parts.view.lock_of(stored.task))


def task_response(read: TaskRead, status: int, headers: dict[str, str] | None = None) -> Response:
    """TaskRead, serialised directly to bytes."""
    return Response(read.model_dump_json(), status, headers, "application/json")
