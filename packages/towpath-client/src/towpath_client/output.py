"""The output of an attempt as bytes, range by range, also while it grows."""

from __future__ import annotations

from towpath_client.calls import Deadline, call, pauses
from towpath_client.errors import NotTowpath
from towpath_client.models import OutputRange
from towpath_client.steps import Answer, Emit, Feed, Operation, Pause, Request, path
from towpath_client.tasks import TaskId, get

RANGE_BYTES = 256 * 1024
WAIT_SECONDS = 15.0
LONGEST_LOOK_SECONDS = 2.0
_HEADER = "towpath-output-"


def output(
    task_id: TaskId, attempt: int | None, offset: int, follow: bool, call_seconds: float
) -> Feed[bytes]:
    """Bytes from `offset` (negative: from the end); with `follow` until the output is complete.

    Without `attempt`: of the current one, or, with `follow`, of the next one where there is none yet.
    """
    between = pauses(LONGEST_LOOK_SECONDS)
    while True:
        wait = WAIT_SECONDS if follow else 0.0
        found = yield from output_range(task_id, attempt, offset, RANGE_BYTES, wait, call_seconds)
        if found.attempt:
            attempt = found.attempt
        if found.content:
            yield Emit(found.content)
            offset = found.next_offset
            between = pauses(LONGEST_LOOK_SECONDS)
            if offset < found.size:
                continue
        if not follow or (found.attempt and found.complete):
            return
        if not found.attempt and (yield from get(task_id, Deadline(call_seconds))).ended:
            return
        if not found.content:  # usually it waited; an API without room for waiting requests answers at once
            yield Pause(next(between))


def output_range(
    task_id: TaskId, attempt: int | None, offset: int, limit: int, wait: float, call_seconds: float
) -> Operation[OutputRange]:
    """One range, once there is a byte of it, or `wait` is over."""
    params = {"attempt": attempt, "offset": offset, "limit": limit, "wait": wait}
    request = Request("GET", path("tasks", task_id, "output"), params, seconds=wait + 15)
    answer = yield from call(request, Deadline(wait + call_seconds), repeatable=True)
    numbers = {name: _number(answer, name) for name in ("attempt", "offset", "size", "cut")}
    complete = answer.headers.get(f"{_HEADER}complete") == "true"
    return OutputRange(**numbers, complete=complete, content=answer.content)


def _number(answer: Answer, name: str) -> int:
    try:
        return int(answer.headers[f"{_HEADER}{name}"])
    except (KeyError, ValueError):
        raise NotTowpath("the answer is no range of an output: look at the URL and the versions") from None
