"""The streams of an application: their names, subjects and settings, and their creation.

Streams of events have no limits and allow no deletion. Tracking records that stand with events share their
stream, because a batch is atomic within one stream only. An existing stream with a setting under which events
could have been lost is refused, and the error names that setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eventsourcing.persistence import OperationalError, ProgrammingError

from eventsourcing_nats.request_reply import RequestReply

EVENTS, TRACKING = "events", "tracking"
_NOT_FOUND, _NAME_IN_USE = 10059, 10058
_NEEDED = frozenset({"allow_atomic", "allow_direct"})
_GUARDED = frozenset(
    {"subjects", "retention", "storage", "mirror", "sources", "sealed", "subject_transform", "no_ack"}
    | {"discard", "discard_new_per_subject", "max_age", "max_msgs", "max_msgs_per_subject", "persist_mode"}
)
_REWRITES_HISTORY = frozenset(
    {"deny_delete", "deny_purge", "allow_rollup_hdrs", "allow_msg_ttl", "allow_msg_schedules"}
    | {"allow_msg_counter", "subject_delete_marker_ttl", "republish"}
)
_MOST_NAME = 120
_PLAIN = re.compile(r"[A-Za-z0-9_-]")


@dataclass(frozen=True)
class StreamNames:
    """Stream and subjects of one recorder: `prefix-application-purpose`, `prefix.application.purpose.…`.

    Other characters of an application's name are written as `=` and two hexadecimal digits per byte, so two
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
        """Begins the subjects on which the stream republishes the headers of what it stores."""
        return f"{self.root}.stored"


@dataclass(frozen=True)
class StreamDefinition:
    """One stream: `settings` in the server's JSON names.

    `guarded` names the settings that must already be right in an existing stream (absent means off); all
    others are brought to `settings` by an update.
    """

    name: str
    settings: Mapping[str, Any]
    guarded: frozenset[str]

    def config(self) -> dict[str, Any]:
        """The whole configuration for a create request."""
        return {"name": self.name, "storage": "file", **self.settings}

    def unsafe(self, existing: Mapping[str, Any]) -> list[str]:
        """The guarded settings that differ in an existing stream's configuration."""
        wanted = self.config()
        return [
            name for name in sorted(self.guarded) if _plain(existing.get(name)) != _plain(wanted.get(name))
        ]

    def changes(self, existing: Mapping[str, Any]) -> dict[str, Any]:
        """What an update has to set of the rest; an existing stream keeps more replicas than asked for."""
        changes = {
            name: value
            for name, value in self.config().items()
            if name not in self.guarded and _plain(existing.get(name)) != _plain(value)
        }
        if changes.get("num_replicas", 0) < existing.get("num_replicas", 1):
            changes.pop("num_replicas", None)
        return changes


def events_stream(names: StreamNames, replicas: int) -> StreamDefinition:
    """Stored events (or snapshots) without limits, and the tracking records that stand with them."""
    subjects = [f"{names.root}.*", f"{names.tracking_root}.*"]
    hint = {"src": subjects[0], "dest": f"{names.stored_root}.{{{{wildcard(1)}}}}", "headers_only": True}
    settings = {
        **_kept(subjects, replicas),
        "discard": "new",
        "deny_delete": True,
        "deny_purge": True,
        "allow_atomic": True,
        "republish": hint,
    }
    return StreamDefinition(names.stream, settings, _GUARDED | _REWRITES_HISTORY)


def tracking_stream(names: StreamNames, replicas: int) -> StreamDefinition:
    """The last position of each tracked application; earlier ones are of no use."""
    settings = {**_kept([f"{names.root}.*"], replicas), "discard": "old", "max_msgs_per_subject": 1}
    return StreamDefinition(names.stream, settings, _GUARDED)


def _kept(subjects: list[str], replicas: int) -> dict[str, Any]:
    return {
        "description": "Of a program that uses the eventsourcing library",
        "subjects": subjects,
        "retention": "limits",
        "num_replicas": replicas,
        "allow_direct": True,
    }


async def ensure_stream(requests: RequestReply, definition: StreamDefinition, *, change: bool = True) -> None:
    """Create the stream, leave it, or correct harmless settings; with `change` false, only check it.

    Any number of processes may call this. Raises OperationalError where the server refuses, or a setting is
    unsafe.
    """

    async def ask(verb: str, body: object = None) -> dict[str, Any]:
        return await requests.until_answered(lambda: requests.api(f"STREAM.{verb}.{definition.name}", body))

    answer = await ask("INFO")
    if _code(answer) == _NOT_FOUND and change:
        answer = await ask("CREATE", definition.config())
        if _code(answer) == _NAME_IN_USE:  # another process was faster
            answer = await ask("INFO")
    existing = _config(answer, definition.name)
    for setting in definition.unsafe(existing):
        found, wanted = existing.get(setting), definition.config().get(setting)
        raise OperationalError(
            f"stream {definition.name}: {setting} is {json.dumps(found)}, must be {json.dumps(wanted)}. "
            "Events may have been lost already: find out what changed it, or take another NATS_STREAM_PREFIX"
        )
    if change and definition.changes(existing):
        existing = _config(await ask("UPDATE", {**existing, **definition.changes(existing)}), definition.name)
    missing = sorted(definition.changes(existing).keys() & _NEEDED)
    if missing:
        raise OperationalError(
            f"stream {definition.name}: {', '.join(missing)} is off. Start once with CREATE_TABLE=yes; if "
            "that does not help, the server is too old: use nats-server 2.14.6 or newer"
        )


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


def _plain(value: Any) -> Any:
    """The server writes "off" in several ways: absent, 0, -1, false, empty, or the name of the default."""
    return None if value in (None, 0, -1, False, "", "default", [], {}) else value


def _quoted(name: str) -> str:
    return "".join(
        char if _PLAIN.fullmatch(char) else "".join(f"={byte:02X}" for byte in char.encode()) for char in name
    )
