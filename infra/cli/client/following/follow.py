"""Follows one task until it ends, by its events or by polling.

The task runs without the client. So a lost connection is an error only if it lasts too long, and a user who
leaves is told how to follow the task again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from domain.backoff import Backoff
from domain.task.transitions import TERMINAL
from infra.cli.client.following.stream import events
from infra.cli.client.following.waiting import saying_what_it_waits_for
from infra.cli.client.http import Api, Json, Overloaded, Unreachable, path
from infra.cli.output.event_text import kind_of
from infra.cli.output.stderr import say
from infra.cli.output.task_view import next_attempt
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit

GIVE_UP_SECONDS = 60.0
HELD_UP_SECONDS = 5.0
ASK_AGAIN = Backoff(first_seconds=0.05, longest_seconds=1.0)
_MAY_END = TERMINAL | {"cancel-requested"}
"""Events after which a task may be over; a cancel ends the retries of one whose attempt has ended."""


class Left(Exception):
    """The user has stopped following; what became of the task is the message."""


def has_ended(task: Json) -> bool:
    """Whether the task's current attempt has ended, and no other follows by itself."""
    return task["status"] in TERMINAL and not task.get("next_attempt_at")


def attempt_after(api: Api, task_id: str, attempt: int, give_up_seconds: float) -> int | None:
    """The attempt that follows this one by itself, once it has begun; None if none does.

    Raises:
        Unreachable: no connection for `give_up_seconds`.
    """
    answered, pauses, said = time.monotonic(), ASK_AGAIN.pauses(), False
    while True:
        try:
            task: Json = api.get(path("tasks", task_id))
            answered = time.monotonic()
            if task.get("retry") and task["attempt"] > attempt:
                return attempt + 1
            if not task.get("retry") or has_ended(task):
                return None
            if not said and task.get("next_attempt_at"):
                said = True
                say(next_attempt(task))
        except Unreachable:
            if time.monotonic() - answered > give_up_seconds:
                raise
        time.sleep(next(pauses))


def wait_until_ended(api: Api, task_id: str, timeout_seconds: float | None = None) -> Json:
    """The task once it has ended.

    Raises:
        CliError: it has not ended in time (timed out), or the API rejects the request or is unreachable.
    """
    start = time.monotonic()
    answered, pauses = start, ASK_AGAIN.pauses()
    while True:
        try:
            task: Json = api.get(path("tasks", task_id))
            answered = time.monotonic()
            if has_ended(task):
                return task
        except Unreachable:
            if answered == start or time.monotonic() - answered > GIVE_UP_SECONDS:
                raise
        left = None if timeout_seconds is None else start + timeout_seconds - time.monotonic()
        if left is not None and left <= 0:
            raise CliError(f"task {task_id} has not ended within {timeout_seconds:g} s", Exit.TIMED_OUT)
        pause = next(pauses)
        time.sleep(pause if left is None else min(pause, left))


def withdraw(api: Api, task_id: str) -> None:
    """Cancel a task whose creation was interrupted, if it exists."""
    with contextlib.suppress(CliError, KeyboardInterrupt):
        api.post(path("tasks", task_id, "cancel"))


def stay(api: Api, task: Json, show: Callable[[Json], None], *, keep: bool = False) -> Json:
    """Show the task's events after `task` until it has ended; returns the task.

    The first Ctrl-C (or another signal of `interrupting`) requests a cancel and continues to follow; the
    second leaves, also where the API does not answer the cancel. With `keep` the first one leaves.

    Raises:
        Left: the user has left.
    """
    seen, canceling = task["seq"], False

    def note(event: Json) -> None:
        nonlocal seen
        seen = event["seq"]
        show(event)

    while True:
        try:
            if not has_ended(task):
                with saying_what_it_waits_for(api, task["id"], again=bool(task.get("retry"))):
                    _show_or_wait(api, task, seen, note)
            return wait_until_ended(api, task["id"])
        except KeyboardInterrupt:
            if canceling or keep:
                raise Left("was told to end" if canceling else "goes on") from None
            canceling = True
            say("canceling; Ctrl-C again does not wait for its end")
            try:
                _cancel(api, task["id"])
            except KeyboardInterrupt:
                raise Left("may not have heard of the cancel") from None


def _show_or_wait(api: Api, task: Json, after: int, note: Callable[[Json], None]) -> None:
    try:
        _show_until_ended(api, task, after, note)
    except Overloaded as error:
        say(f"its events cannot be shown: {error}")


def _show_until_ended(api: Api, task: Json, after: int, note: Callable[[Json], None]) -> None:
    """Events have no gaps, so the last event ends the loop; polling covers a stream that is held up.

    The end of an attempt with retries does not tell whether another one follows: the task does.
    """
    task_id, ended_since = task["id"], None
    for event in events(api, {"task_id": task_id}, after, GIVE_UP_SECONDS):
        if event is not None:
            note(event)
            if kind_of(event) != "task" or event["event"] not in _MAY_END:
                continue
            if not task.get("retry"):
                if event["event"] in TERMINAL:
                    return
            elif _is_over(api, task_id, ended=event["data"].get("attempt")):
                return
        elif ended_since is None:
            if _is_over(api, task_id):
                ended_since = time.monotonic()
        elif time.monotonic() - ended_since > HELD_UP_SECONDS:
            return


def _is_over(api: Api, task_id: str, *, ended: int | None = None) -> bool:
    """Whether the task has ended; False if the API is unreachable. `ended`: show which attempt follows it."""
    with contextlib.suppress(Unreachable):
        task = api.get(path("tasks", task_id))
        if ended is not None and task["next_attempt_at"]:
            say(f"  {next_attempt(task)}")
        elif ended is not None and task["attempt"] > ended:  # it has begun meanwhile
            say(f"  attempt {ended + 1} of {task['retry']['max_attempts']}")
        return has_ended(task)
    return False


def _cancel(api: Api, task_id: str) -> None:
    try:
        api.post(path("tasks", task_id, "cancel"))
    except CliError as error:
        if error.exit is not Exit.CONFLICT:  # a conflict means that the task has ended meanwhile
            say(f"the cancel did not get through: {error}")
