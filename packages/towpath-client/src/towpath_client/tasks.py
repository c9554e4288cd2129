"""Operations on tasks: create, dispatch, cancel, wait, read, list, explain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar
from uuid import UUID

from pydantic import BaseModel

from towpath_client.calls import Deadline, call, page_of, parsed, pauses
from towpath_client.errors import NotTowpath
from towpath_client.ids import id_of_key, new_id
from towpath_client.models import (
    Attempt,
    Event,
    LocksReleased,
    Runner,
    RunResult,
    Status,
    Task,
    TaskCount,
    Why,
    Workspace,
    WorkspaceLocks,
)
from towpath_client.steps import Emit, Feed, Operation, Pause, Request, path

PAGE = 100
LONGEST_LOOK_SECONDS = 2.0
FIRST_LOOK_SECONDS = 0.05

TaskId = str | UUID
M = TypeVar("M", bound=BaseModel)


class TaskOptions(TypedDict, total=False):
    """What a task may have besides its command; the API's own names."""

    title: str
    workspace: str
    lock_paths: Sequence[str]
    lock_mode: str
    on_conflict: str
    lock_wait_seconds: float
    pool: str
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    timeout_seconds: float
    timeout_pauses: bool
    labels: Mapping[str, str]
    retry: Mapping[str, Any]


def create(
    command: Sequence[str],
    key: str | None,
    task_id: TaskId | None,
    dispatch: bool,
    options: TaskOptions,
    deadline: Deadline,
) -> Operation[Task]:
    """Create a task under an id of ours, so that the request may be repeated."""
    if isinstance(command, (str, bytes)):
        raise TypeError("`command` is a list: the program and its arguments, e.g. ['make', 'all']")
    if key is not None and task_id is not None:
        raise TypeError("give `key` or `id`, not both")
    name = id_of_key(key) if key is not None else str(task_id) if task_id is not None else new_id()
    given = {field: _plain(value) for field, value in options.items() if value is not None}
    body = {"id": name.lower(), "command": list(command), **given}
    request = Request("POST", "/tasks", {"dispatch": True} if dispatch else {}, body)
    return parsed(Task, (yield from call(request, deadline, repeatable=True)))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def run(
    command: Sequence[str],
    key: str | None,
    task_id: TaskId | None,
    options: TaskOptions,
    timeout: float | None,
    call_seconds: float,
) -> Operation[RunResult]:
    """Create and dispatch, then wait for the end."""
    deadline = Deadline(timeout)
    first = Deadline(min(call_seconds, deadline.left))
    task = yield from create(command, key, task_id, True, options, first)
    return RunResult(task=(yield from wait_from(task, deadline, call_seconds)))


def dispatch(task_id: TaskId, attempt: int | None, deadline: Deadline) -> Operation[Task]:
    """Begin the next attempt. A repetition could begin another one, so it is not repeated."""
    body = {"attempt": attempt} if attempt is not None else None
    request = Request("POST", path("tasks", task_id, "dispatch"), body=body)
    return parsed(Task, (yield from call(request, deadline, repeatable=False)))


def cancel(task_id: TaskId, reason: str | None, attempt: int | None, deadline: Deadline) -> Operation[Task]:
    """Cancel the current attempt. A repetition could meet the next one, unless `attempt` names it."""
    given = {"reason": reason, "attempt": attempt}
    body = {name: value for name, value in given.items() if value is not None}
    request = Request("POST", path("tasks", task_id, "cancel"), body=body)
    return parsed(Task, (yield from call(request, deadline, repeatable=attempt is not None)))


def get(task_id: TaskId, deadline: Deadline, at: int | datetime | None = None) -> Operation[Task]:
    """The task now, or at another position or time."""
    request = Request("GET", path("tasks", task_id), {"at": point(at)})
    return parsed(Task, (yield from call(request, deadline, repeatable=True)))


def point(at: int | datetime | None) -> str | None:
    """A sequence or an aware time as the API reads it."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("give a time with a time zone")
        return at.isoformat()
    return None if at is None else str(at)


def wait(task_id: TaskId, timeout: float | None, call_seconds: float) -> Operation[Task]:
    """The task once its current attempt has ended."""
    deadline = Deadline(timeout)
    task = yield from get(task_id, Deadline(min(call_seconds, deadline.left)))
    return (yield from wait_from(task, deadline, call_seconds))


def wait_from(task: Task, deadline: Deadline, call_seconds: float) -> Operation[Task]:
    """As `wait`, with the task as it was seen last."""
    between = pauses(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS)
    while not task.ended:
        if deadline.left <= 0:
            raise deadline.error(f"task {task.id} has not ended")
        yield Pause(min(next(between), deadline.left))
        task = yield from get(task.id, Deadline(call_seconds))
    return task


def why(task_id: TaskId, deadline: Deadline) -> Operation[Why]:
    """What it waits for, or what ended it."""
    request = Request("GET", path("tasks", task_id, "why"))
    return parsed(Why, (yield from call(request, deadline, repeatable=True)))


def release(task_id: TaskId, reason: str, token: int | None, deadline: Deadline) -> Operation[LocksReleased]:
    """Release by hand. A repetition could meet the next attempt, so it is not repeated."""
    body = {"reason": reason, **({"token": token} if token is not None else {})}
    request = Request("POST", path("tasks", task_id, "locks", "release"), body=body)
    return parsed(LocksReleased, (yield from call(request, deadline, repeatable=False)))


def pages(model: type[M], where: str, params: Mapping[str, Any], call_seconds: float) -> Feed[M]:
    """All items of a list, a page at a time, as they are asked for."""
    cursor: str | None = None
    circle = Circle()
    while True:
        request = Request("GET", where, {**params, "limit": PAGE, "cursor": cursor})
        answer = yield from call(request, Deadline(call_seconds), repeatable=True)
        items, following = page_of(model, answer)
        for item in items:
            yield Emit(item)
        if following is None:
            return
        circle.check(following)
        cursor = following


class Circle:
    """Notices pages that go round in a circle, by one cursor that is kept ever longer (Brent's algorithm)."""

    def __init__(self) -> None:
        self._kept: str | None = None
        self._pages, self._most = 0, 1

    def check(self, cursor: str) -> None:
        """Raises NotTowpath if `cursor` was seen before; within a few rounds of the circle."""
        if cursor == self._kept:
            raise NotTowpath("the pages of the list come again: look at the URL")
        self._pages += 1
        if self._pages == self._most:
            self._kept, self._pages, self._most = cursor, 0, 2 * self._most


class TaskFilters(TypedDict, total=False):
    """What tasks are listed or counted by; the API's own names. All given ones must hold."""

    id: TaskId | Sequence[TaskId]
    status: Sequence[str] | str
    workspace: str
    pool: str
    label: tuple[str, str] | Sequence[tuple[str, str]]
    runner: str
    reason: str
    exit_code: int
    lock: str
    min_attempt: int
    q: str
    created_after: datetime
    created_before: datetime
    finished_after: datetime
    finished_before: datetime
    asking: bool
    on_request: bool


def tasks(order: str | None, filters: TaskFilters, call_seconds: float) -> Feed[Task]:
    """Tasks, by default newest first."""
    return pages(Task, "/tasks", {**_params(filters), "order": order}, call_seconds)


def count(filters: TaskFilters, deadline: Deadline) -> Operation[TaskCount]:
    """How many tasks match."""
    request = Request("GET", "/tasks/count", _params(filters))
    return parsed(TaskCount, (yield from call(request, deadline, repeatable=True)))


def _params(filters: TaskFilters) -> dict[str, Any]:
    params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    unknown = params.keys() - TaskFilters.__annotations__.keys()
    if unknown:
        known = ", ".join(TaskFilters.__annotations__)
        raise TypeError(f"{', '.join(sorted(unknown))}: no such filter; there are {known}")
    for name in ("created_after", "created_before", "finished_after", "finished_before"):
        if name in params:
            params[name] = point(params[name])
    for name, one in (("id", (str, UUID)), ("status", str)):
        if name in params:
            params[name] = [str(value) for value in _several(params[name], one)]
    if "status" in params:
        params["status"] = [str(Status(value)) for value in params["status"]]
    if "label" in params:
        single = isinstance(params["label"][0], str) if params["label"] else False
        params["label"] = [":".join(pair) for pair in ([params["label"]] if single else params["label"])]
    return params


def _several(value: Any, one: type[Any] | tuple[type[Any], ...]) -> Sequence[Any]:
    return [value] if isinstance(value, one) else list(value)


def attempts(task_id: TaskId, call_seconds: float) -> Feed[Attempt]:
    """The attempts of a task, in their order."""
    return pages(Attempt, path("tasks", task_id, "attempts"), {}, call_seconds)


def trail(task_id: TaskId, event: str | None, actor: str | None, call_seconds: float) -> Feed[Event]:
    """The events of a task and of its lock, in the log's order."""
    return pages(Event, path("tasks", task_id, "events"), {"event": event, "actor": actor}, call_seconds)


def locks(workspace: str | None, at: int | datetime | None, call_seconds: float) -> Feed[WorkspaceLocks]:
    """The locks of all workspaces in which something holds or waits, or of one workspace."""
    if workspace is None:
        yield from pages(WorkspaceLocks, "/locks", {"at": point(at)}, call_seconds)
        return
    request = Request("GET", path("workspaces", workspace, "locks"), {"at": point(at)})
    answer = yield from call(request, Deadline(call_seconds), repeatable=True)
    yield Emit(parsed(WorkspaceLocks, answer))


def workspaces(call_seconds: float) -> Feed[Workspace]:
    """All registered workspaces."""
    return pages(Workspace, "/workspaces", {}, call_seconds)


def runners(call_seconds: float) -> Feed[Runner]:
    """All runners."""
    return pages(Runner, "/runners", {}, call_seconds)
