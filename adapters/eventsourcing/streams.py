"""The streams of an application: their names, subjects and settings, and how they come to be.

Events are kept for ever and nobody can delete one; tracking records that stand with events share their
stream, because a batch is atomic within one stream only. A stream that exists with a setting under which
events could have been lost is refused by that setting's name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson
from eventsourcing.persistence import OperationalError, ProgrammingError
from nats.aio.client import Client

from adapters.nats.stream_definition import IDENTITY, LOSES_MESSAGES, REWRITES_HISTORY, StreamDefinition

EVENTS, TRACKING = "events", "tracking"
API_TIMEOUT_SECONDS = 10.0
_NOT_FOUND, _NAME_IN_USE = 10059, 10058
_NEEDED = frozenset({"allow_atomic", "allow_direct"})
_MOST_NAME = 120
_PLAIN = re.compile(r"[A-Za-z0-9_-]")


@dataclass(frozen=True)
class StreamNames:
    """Stream and subjects of one recorder: `prefix-application-purpose`, `prefix.application.purpose.…`.

    Whatever else an application's name holds is written as `=` and two hexadecimal digits per byte, so two
    applications never share a stream.
    """

    prefix: str
    application: str
    purpose: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.prefix):
            raise ProgrammingError(f"{self.prefix!r} cannot begin a stream's name: use letters, digits and _")
        if len(self.stream) > _MOST_NAME:
            raise ProgrammingError(f"{self.stream} is too long for a stream: at most {_MOST_NAME} characters")

    @property
    def stream(self) -> str:
        """The stream's name."""
        return f"{self.prefix}-{_quoted(self.application)}-{_quoted(self.purpose).replace('-', '=2D')}"

    @property
    def root(self) -> str:
        """Begins the subject of every originator; its token follows behind a dot."""
        return f"{self.prefix}.{_quoted(self.application)}.{_quoted(self.purpose)}"

    @property
    def tracking_root(self) -> str:
        """Begins the subject of every tracked application."""
        return f"{self.root}.{TRACKING}"

    @property
    def stored_root(self) -> str:
        """Begins the subjects on which the stream says what it has stored (without bodies)."""
        return f"{self.root}.stored"


def events_stream(names: StreamNames, replicas: int) -> StreamDefinition:
    """Stored events (or snapshots) for ever, and the tracking records that stand with them."""
    subjects = [f"{names.root}.*", f"{names.tracking_root}.*"]
    hint = {"src": subjects[0], "dest": f"{names.stored_root}.{{{{wildcard(1)}}}}", "headers_only": True}
    return StreamDefinition(
        names.stream,
        {
            **_kept(subjects, replicas),
            "discard": "new",
            "deny_delete": True,
            "deny_purge": True,
            "allow_atomic": True,
            "republish": hint,
        },
        IDENTITY | LOSES_MESSAGES | REWRITES_HISTORY,
    )


def tracking_stream(names: StreamNames, replicas: int) -> StreamDefinition:
    """The last position of each tracked application; earlier ones are of no use."""
    settings = {**_kept([f"{names.root}.*"], replicas), "discard": "old", "max_msgs_per_subject": 1}
    return StreamDefinition(names.stream, settings, IDENTITY | LOSES_MESSAGES)


def _kept(subjects: list[str], replicas: int) -> dict[str, Any]:
    return {
        "description": "Of a program that uses the eventsourcing library",
        "subjects": subjects,
        "retention": "limits",
        "num_replicas": replicas,
        "allow_direct": True,
    }


async def ensure_stream(nc: Client, definition: StreamDefinition, *, change: bool = True) -> None:
    """Create the stream, leave it, or set what is harmless right; or only look, where it may not be changed.

    Any number of processes may call this. Raises OperationalError where the server refuses, or a setting is
    unsafe.
    """
    answer = await _request(nc, "INFO", definition.name)
    if _code(answer) == _NOT_FOUND and change:
        answer = await _request(nc, "CREATE", definition.name, definition.config())
        if _code(answer) == _NAME_IN_USE:  # another process was faster
            answer = await _request(nc, "INFO", definition.name)
    existing = _config(answer, definition.name)
    for setting in definition.unsafe(existing):
        found, wanted = existing.get(setting), definition.config().get(setting)
        raise OperationalError(
            f"stream {definition.name}: {setting} is {json.dumps(found)}, must be {json.dumps(wanted)}. "
            "Events may have been lost already: find out what changed it, or take another NATS_STREAM_PREFIX"
        )
    if change and definition.changes(existing):
        answer = await _request(nc, "UPDATE", definition.name, {**existing, **definition.changes(existing)})
        existing = _config(answer, definition.name)
    missing = sorted(definition.changes(existing).keys() & _NEEDED)
    if missing:
        raise OperationalError(
            f"stream {definition.name}: {', '.join(missing)} is off. Start once with CREATE_TABLE=yes; if "
            "that does not help, the server is too old: use nats-server 2.14.6 or newer"
        )


async def _request(nc: Client, verb: str, name: str, body: object = None) -> dict[str, Any]:
    payload = b"" if body is None else orjson.dumps(body)
    message = await nc.request(f"$JS.API.STREAM.{verb}.{name}", payload, timeout=API_TIMEOUT_SECONDS)
    answer: dict[str, Any] = orjson.loads(message.data)
    return answer


def _config(answer: dict[str, Any], name: str) -> dict[str, Any]:
    if "error" in answer:
        error = answer["error"]
        if error.get("err_code") == _NOT_FOUND:
            raise OperationalError(f"stream {name} does not exist: start once with CREATE_TABLE=yes")
        raise OperationalError(
            f"stream {name}: the server refused: {error.get('description')} (error {error.get('err_code')}). "
            "Check its JetStream limits, its version (2.14.6 or newer) and the cluster's size (NATS_REPLICAS)"
        )
    config: dict[str, Any] = answer["config"]
    return config


def _code(answer: dict[str, Any]) -> int | None:
    error = answer.get("error")
    return None if error is None else int(error.get("err_code", 0))


def _quoted(name: str) -> str:
    return "".join(
        char if _PLAIN.fullmatch(char) else "".join(f"={byte:02X}" for byte in char.encode()) for char in name
    )
