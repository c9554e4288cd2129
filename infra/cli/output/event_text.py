"""An event in a few words, for `trail`, `watch` and `run`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from typing import Any

from domain.actors import shown_actor
from domain.runners.runner_key import shown_id
from domain.validation.durations import duration
from domain.workspaces.paths import listed
from infra.cli.output.durations import clock_time
from infra.cli.output.formats import Column, Json, terminal_width
from infra.cli.output.table import SHORT_ID


def short(task_id: str) -> str:
    """A task id in text: on a terminal its last, random part, which commands accept as an id."""
    return task_id if terminal_width(sys.stdout) is None else task_id[-SHORT_ID:]


def short_runner(runner_id: str) -> str:
    """A runner's id in text: on a terminal as short as commands accept it."""
    return runner_id if terminal_width(sys.stdout) is None else shown_id(runner_id)


def short_actor(actor: str) -> str:
    """An actor for people."""
    kind, colon, name = actor.partition(":")
    return f"{kind}:{short_runner(name)}" if colon and kind == "runner" else shown_actor(actor)


def scope(paths: list[str], mode: str = "exclusive") -> str:
    """The scope of a claim: its paths, and its mode unless it is exclusive."""
    what = listed(paths) or "whole workspace"
    return what if mode == "exclusive" else f"{what} ({mode})"


def kind_of(event: Json) -> str:
    """`task`, `lock` or `workspace`."""
    return str(event["type"]).split(".")[1]


def name_of(event: Json) -> str:
    """The event's name; for events of locks and workspaces with their kind."""
    kind = kind_of(event)
    return str(event["event"]) if kind == "task" else f"{kind} {event['event']}"


def detail(event: Json) -> str:
    """The event's details beyond its name."""
    describe = _WORDS.get(name_of(event))
    return describe(event, event["data"]) if describe else ""


def _join(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part not in (None, ""))


def _named(label: str, value: Any) -> str:
    return "" if value is None else f"{label} {value}"


def _on(data: Json) -> str:
    runner_id = data.get("runner_id")
    return "" if runner_id is None else f"on {short_runner(runner_id)}"


def _created(_: Json, data: Json) -> str:
    policy = data.get("retry")
    return _join(shlex.join(data["command"]), policy and f"up to {policy['max_attempts']} attempts")


def _dispatched(_: Json, data: Json) -> str:
    claim = data["workspace"] and f"{data['workspace']}: {scope(data['lock_paths'], data['lock_mode'])}"
    wait = data.get("lock_wait_seconds")
    return _join(
        f"pool {short_runner(data['pool'])}", claim, _named("waits at most", wait and duration(wait))
    )


def _ended(_: Json, data: Json) -> str:
    reason, code, message = data.get("reason"), data.get("exit_code"), data.get("message")
    told = code is not None and str(code) in (message or "")
    return _join(None if reason == "exit" else reason, None if told else _named("exit code", code), message)


def _by(_: Json, data: Json) -> str:
    return _join(_on(data), data.get("reason"), data.get("message"))


def _asked(_: Json, data: Json) -> str:
    offered = [*(data["choices"] or []), *(["any text"] if data["free_text"] else [])]
    until = data["expires_at"] and f"until {clock_time(data['expires_at'])[:-4]}"
    return _join(f"{' '.join(data['text'].split())} ({' / '.join(offered)})", until)


def _expired(data: Json) -> str:
    return "its time was over" if data["cause"] == "expired" else ""


def _refused(_: Json, data: Json) -> str:
    if data.get("reason") == "workspace-changed":
        now = f"the workspace was at {data['valid_root']}" if data["valid_root"] else "it was not registered"
        return _join(f"dispatched under {data['root']}", now)
    return _join(scope(data["paths"], data["mode"]), _named("behind", _shorts(data["holders"]) or None))


def _shorts(holders: Iterable[Json]) -> str:
    return " ".join(short(holder["task_id"]) for holder in holders)


_WORDS: dict[str, Callable[[Json, Json], str]] = {
    "created": _created,
    "dispatched": _dispatched,
    "queued": lambda _, data: _join(_on(data), f"over {data['transport']}"),
    "running": lambda _, data: _join(_on(data), _named("pid", data["pid"])),
    "succeeded": _ended,
    "failed": _ended,
    "cancel-requested": lambda _, data: _join(_named("by", shown_actor(str(data["by"]))), data["reason"]),
    "canceled": _by,
    "submit-failed": _by,
    "lock-release-requested": lambda _, data: _join(f"token {data['token']}", data["reason"]),
    "asked": _asked,
    "answered": lambda _, data: _join(
        data["choice"] or data["text"], _named("by", shown_actor(str(data["by"]))), _expired(data)
    ),
    "lock granted": lambda event, data: _join(f"token {event['seq']}", scope(data["paths"], data["mode"])),
    "lock refused": _refused,
    "lock released": lambda _, data: _join(f"after {data['cause']} at {data['cause_seq']}"),
    "workspace registered": lambda _, data: _join(data["root"], f"on runner lost: {data['on_runner_lost']}"),
    "workspace removed": lambda _, data: _join(data["reason"]),
}


def _attempt(event: Json) -> str:
    return "" if event["attempt"] is None else str(event["attempt"])


def _subject(event: Json) -> str:
    return event["task_id"] or f"workspace {event['workspace']}"


TRAIL = (
    Column("SEQ", lambda event: str(event["seq"]), right=True),
    Column("TIME", lambda event: clock_time(event["time"])),
    Column("EVENT", name_of, colored=True),
    Column("ATT", _attempt, right=True),
    Column("ACTOR", lambda event: short_actor(str(event["actor"])), wide=True),
    Column("DETAIL", detail, wide=True),
)
WATCHED = (
    Column("SEQ", lambda event: str(event["seq"]), right=True, width=6),
    Column("TIME", lambda event: clock_time(event["time"])[:-4]),
    Column("EVENT", name_of, colored=True, width=13),
    Column("TASK", _subject, width=SHORT_ID, task=True),
    Column("TITLE", lambda event: event.get("title") or "", wide=True, optional=True),
    Column("DETAIL", detail, wide=True),
)
SHOWN_BY_RUN = (
    Column("TIME", lambda event: clock_time(event["time"])[:-4]),
    Column("EVENT", name_of, colored=True, width=13),
    Column("DETAIL", detail, wide=True),
)
