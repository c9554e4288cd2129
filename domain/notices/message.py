"""Messages: what a channel is told about a fact, in words and as data.

The words are those of `towpath why`. Text of tasks stays text: control characters are replaced, and lines
are bounded in length and number. Variables of the environment are masked, as wherever an event is shown.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from domain.actors import shown_actor
from domain.identifiers import RunnerId, TaskId
from domain.log.events import type_name
from domain.log.payloads import EndedPayload, RemovedPayload
from domain.log.record import Recorded
from domain.notices.rules import (
    AWAITING_OPERATOR,
    LOCK_WAITS,
    RECOVERED,
    RUNNER_LOST,
    RUNNER_SUSPECTED,
    RUNS,
    Fact,
)
from domain.notices.watches import ENDS
from domain.task.view import TaskRead
from domain.validation.durations import duration
from domain.validation.outside_text import REPLACEMENT, shortened

AGAIN = "(again) "
LAST_LINES = 10
LINE_CHARS = 500
_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
"""What a terminal takes for colours of text; a receiver shows none."""
_WORDS = {
    LOCK_WAITS: "has waited {length} for its lock",
    RUNS: "has been running for {length}",
    AWAITING_OPERATOR: "keeps its lock, as its runner is lost: `towpath release {task_id}` frees it",
    RUNNER_SUSPECTED: "is silent for longer than its lease",
    RUNNER_LOST: "is lost, and what it ran has ended",
}


class NoticeTask(BaseModel):
    """The task that a notice is about."""

    id: TaskId
    title: str
    attempt: int
    workspace: str | None
    pool: str
    labels: dict[str, str]
    runner_id: RunnerId | None


class Links(BaseModel):
    """Where to look; None where `API_PUBLIC_BASE_URL` is not set."""

    console: str | None = None
    trail: str | None = None


class Notice(BaseModel):
    """What a person is told. `text` has it all; the other fields are its parts, for programs.

    `why` explains the task in a sentence. `seconds`: how long it ran, or has lasted. `last_lines`: of the
    output. `by`: who did it. `again`: it may have been told before, as the notifier ended during a send.
    """

    name: str
    text: str
    why: str | None = None
    seconds: float | None = None
    last_lines: list[str] = []
    by: str | None = None
    task: NoticeTask | None = None
    runner_id: RunnerId | None = None
    links: Links = Links()
    again: bool = False

    @property
    def headline(self) -> str:
        """The first line of `text`, without the mark of what is told again."""
        return self.text.removeprefix(AGAIN).partition("\n")[0]


class Message(BaseModel):
    """A notice with the event that it tells; `data` is the event's, `attributes` its headers.

    `id` is the event's, or is made of the id of what began.
    """

    id: str
    type: str
    subject: str
    at: datetime
    attributes: dict[str, str | int] = {}
    data: dict[str, Any] = {}
    notice: Notice

    def told_again(self) -> Message:
        """The same, marked as what may have been told before."""
        notice = self.notice.model_copy(update={"again": True, "text": AGAIN + self.notice.text})
        return self.model_copy(update={"notice": notice})


def event_message(event: Recorded, read: TaskRead | None, why: str | None, base_url: str | None) -> Message:
    """The message about an event of the log; `read` and `why` are of its task as of this event."""
    shown = event.as_json()
    began = (read.started_at or read.dispatched_at) if read is not None and event.event in ENDS else None
    seconds = max((event.at - began).total_seconds(), 0.0) if began is not None else None
    attributes: dict[str, str | int] = {
        "actor": event.actor,
        "chain": event.chain,
        "entityversion": event.version,
        "sequence": str(event.seq),
    }
    if event.attempt is not None:
        attributes["attempt"] = event.attempt
    notice = _notice(event.event, read, why, seconds, base_url)
    notice.by = shown_actor(event.actor)
    notice.last_lines = _last_lines(event)
    if read is None:
        notice.why = _about_workspace(event)
    notice.text = _text(_headline(event.event, read, event.subject_id, seconds), notice)
    return Message(
        id=event.id,
        type=type_name(event.kind, event.event),
        subject=str(event.subject_id),
        at=event.at,
        attributes=attributes,
        data=shown["data"],
        notice=notice,
    )


def condition_message(
    fact: Fact,
    read: TaskRead | None,
    why: str | None,
    seconds: float | None,
    base_url: str | None,
    detail: str = "",
) -> Message:
    """The message that a condition has begun or, of `recovered`, ended.

    `seconds`: how long it has lasted; `detail`: what else is to be told.
    """
    runner_id = fact.subjects[0].runner_id if fact.subjects else None
    notice = _notice(str(fact.trigger), read, why, seconds, base_url)
    notice.runner_id = notice.runner_id or runner_id
    if detail:
        notice.why = plain(detail)
    name, subject = fact.trigger.name, (read.id if read is not None else runner_id) or "towpath"
    what = str(fact.began) if fact.began is not None else ""
    words = _WORDS.get(name, "").format(length=_length(seconds or 0.0), task_id=subject)
    if name == RECOVERED:
        words = f"is over after {_length(seconds or 0.0)}: {what}"
    who = plain(read.title) if read is not None else (f"runner {runner_id}" if runner_id else "")
    notice.text = _text(f"{name}: {who} {words}".replace(":  ", ": ").strip(" :"), notice)
    data: dict[str, Any] = {"condition": str(fact.trigger), "task_id": read.id if read is not None else None}
    data |= {"runner_id": runner_id, "seconds": seconds} | ({"began": what} if what else {})
    return Message(
        id=fact.id, type=f"towpath.condition.{name}.v1", subject=subject, at=fact.at, data=data, notice=notice
    )


def plain(text: str) -> str:
    """`text` on one line, with every character that steers a terminal or a text's direction replaced."""
    return "".join(char if char.isprintable() else REPLACEMENT for char in " ".join(text.split()))


def _notice(
    name: str, read: TaskRead | None, why: str | None, seconds: float | None, base_url: str | None
) -> Notice:
    notice = Notice(name=name, text="", why=plain(why) if why else None, seconds=seconds)
    if read is None:
        return notice
    notice.runner_id = read.runner_id
    notice.task = NoticeTask(
        id=read.id,
        title=plain(read.title),
        attempt=read.attempt,
        workspace=read.workspace,
        pool=read.pool,
        labels=read.labels,
        runner_id=read.runner_id,
    )
    if base_url is not None:
        base = base_url.rstrip("/")
        notice.links = Links(
            console=f"{base}/console/tasks/{quote(read.id)}", trail=f"{base}/tasks/{quote(read.id)}/events"
        )
    return notice


def _headline(name: str, read: TaskRead | None, subject_id: str, seconds: float | None) -> str:
    if read is None:
        return f"{name}: {subject_id}"
    places = [read.workspace, read.runner_id, f"after {_length(seconds)}" if seconds is not None else None]
    known = ", ".join(one for one in places if one)
    return f"{name}: {plain(read.title)}{f' ({known})' if known else ''}"


def _text(headline: str, notice: Notice) -> str:
    lines = [shortened(headline, LINE_CHARS)]
    if notice.why:
        lines.append(notice.why)
    lines += [f"| {line}" for line in notice.last_lines]
    if notice.by:
        lines.append(f"by {plain(notice.by)}")
    lines += [link for link in (notice.links.console,) if link]
    return "\n".join(lines)


def _last_lines(event: Recorded) -> list[str]:
    if event.kind != "task" or event.event not in ENDS:
        return []
    data: EndedPayload = event.data
    lines = (data.get("output_tail") or "").rstrip().splitlines()[-LAST_LINES:]
    return [shortened(_printable(_COLOURS.sub("", line)), LINE_CHARS) for line in lines]


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() or char == "\t" else REPLACEMENT for char in line)


def _about_workspace(event: Recorded) -> str | None:
    if event.event == "registered":
        return f"its directory is {plain(str(event.data['root']))}"
    if event.event == "removed":
        data: RemovedPayload = event.data
        return plain(data["reason"]) if data["reason"] else None
    return None


def _length(seconds: float) -> str:
    """A length of time for people: `12s`, `5m`, `3h 5m`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{minutes}m" if not hours else f"{hours}h {minutes}m" if minutes else duration(hours * 3600.0)
