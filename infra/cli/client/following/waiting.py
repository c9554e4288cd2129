"""Shows what a task waits for until it runs.

The log has no event for this: the tasks ahead of it and the runners change. So a thread polls the API, since
no event may arrive for long.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from domain.backoff import Backoff
from domain.locks.nesting import Nesting, tasks_around
from infra.cli.client.answers import list_of
from infra.cli.client.http import Api, Json, path
from infra.cli.output.stderr import say
from infra.errors.cli_error import CliError

ASK_AGAIN = Backoff(first_seconds=1.0, longest_seconds=5.0, factor=1.5)
NESTED = "it waits for the lock under which `towpath run` runs itself, and so without end"
_WAITS = ("waits-for-lock", "waits-for-runner", "waits-to-start")


@contextmanager
def saying_what_it_waits_for(api: Api, task_id: str, *, again: bool = False) -> Iterator[None]:
    """Show on stderr what the task waits for, from a moment after now on, until it runs or the context ends.

    `again`: it has retries, and may wait again after it has run. A wait for a task in whose command this
    process runs would not end: then the task is canceled.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_say_changes, args=(api, task_id, stop, again), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def _say_changes(api: Api, task_id: str, stop: threading.Event, again: bool) -> None:
    said, pauses = "", ASK_AGAIN.pauses()
    nesting = Nesting(
        tasks_around(os.environ), lambda one: list(api.get(path("tasks", one))["lock"]["blocked_by"])
    )
    while not stop.wait(next(pauses)):
        with suppress(CliError, KeyError, TypeError, RuntimeError):  # RuntimeError: the command has ended
            found: Json = api.get(path("tasks", task_id, "why"))
            if found["stage"] not in _WAITS:
                if again and found["stage"] != "ended":
                    continue
                return
            sentence = str(found["sentence"]).rstrip(".") + _no_runner(api, task_id, str(found["stage"]))
            if sentence != said and not stop.is_set():
                said = sentence
                say(f"  {sentence}")
            outer = nesting.waits_for([one["task_id"] for one in found["blocked_by"]])
            if outer is not None and not stop.is_set():
                say(f"  {NESTED} (task {outer}): canceling it")
                api.post(path("tasks", task_id, "cancel"), {"reason": NESTED})
                return


def _no_runner(api: Api, task_id: str, stage: str) -> str:
    """A message if the pool has no live runner."""
    if stage != "waits-for-runner":
        return ""
    pool = api.get(path("tasks", task_id))["pool"]
    runners = list_of(api.get("/runners"), "items")
    if any(one["state"] == "alive" and pool in one["pools"] for one in runners):
        return ""
    return f"; no runner of that pool is alive: start one with `towpath runner --pool {pool}`"
