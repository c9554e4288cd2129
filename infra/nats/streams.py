"""`ensure_streams` creates or updates the streams; `check_streams` only compares.

A missing stream is created and a harmless difference is updated. An unsafe setting stops the start: the log
may have lost events under it, and a silent repair would hide that.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import nats.errors
from nats.aio.client import Client

from adapters.nats.stream_definition import IDENTITY, StreamDefinition
from domain.subjects import Stream
from infra.nats.stream_definitions import stream_definitions

API_TIMEOUT_SECONDS = 10.0
INFO_SECONDS = 2.0  # a cluster without a leader does not answer, and may elect one a moment later
FORMING_SECONDS = 30.0
FORMING_PAUSE_SECONDS = 0.2
ELECTION_SECONDS = 12.0  # nats-server elects within 4 to 9 s
_NOT_FOUND, _NAME_IN_USE, _SUBJECTS_OVERLAP = 10059, 10058, 10065
_FORMING = (10004, 10005, 10008)  # incomplete, no suitable peers, temporarily unavailable


class StreamError(Exception):
    """A stream is not configured as Towpath needs it."""


class UnsafeStream(StreamError):
    """A stream has a setting under which Towpath's guarantees do not hold."""

    def __init__(self, stream: str, setting: str, found: object, wanted: object) -> None:
        self.stream, self.setting, self.found, self.wanted = stream, setting, found, wanted
        super().__init__(
            f"stream {stream}: {setting} is {json.dumps(found)}, must be {json.dumps(wanted)}. "
            + _remedy(stream, setting)
        )


def _remedy(stream: str, setting: str) -> str:
    if setting in IDENTITY:
        return (
            "It looks like another program's stream: give Towpath a NATS account of its own, or "
            f"back up and remove {stream}."
        )
    return (
        "Events may have been lost already: stop what changed it, check with `towpath verify`, then set it "
        f"back with `nats stream edit {stream}`; where the server refuses that, back the stream up and "
        "restore it under the right settings."
    )


async def ensure_streams(nc: Client, replicas: int = 1, max_bytes: int | None = None) -> None:
    """Create or update all streams as needed; `nc` is the control plane's connection.

    Several processes may call this at once, also while the servers of a cluster find each other. An existing
    stream keeps its replicas if it has more than `replicas`. Raises UnsafeStream before it changes anything
    in that stream, StreamError when the server refuses.
    """
    for definition in stream_definitions(replicas, max_bytes):
        await _ensure(nc, definition)


class StreamFault(NamedTuple):
    """One fault of a stream, and its remedy."""

    found: str
    advice: str


async def check_streams(
    nc: Client, *, election_seconds: float = ELECTION_SECONDS
) -> dict[str, list[StreamFault]]:
    """The faults of each stream, by name: wrong settings, and that no replica leads it. Changes nothing.

    A stream without a leader is given `election_seconds`, all of them together. Replicas and the log's size
    are the operator's choice and are not checked.
    """
    until = time.monotonic() + election_seconds
    return {definition.name: await _faults(nc, definition, until) for definition in stream_definitions()}


async def _faults(nc: Client, definition: StreamDefinition, until: float) -> list[StreamFault]:
    answer = await _request(nc, "INFO", definition.name)
    while _leaderless(answer) and time.monotonic() < until:
        await asyncio.sleep(FORMING_PAUSE_SECONDS)
        answer = await _request(nc, "INFO", definition.name)
    if _leaderless(answer):
        return [StreamFault("no replica leads it: it stores and gives out nothing", _lead(definition.name))]
    if _code(answer) == _NOT_FOUND:
        return [StreamFault("does not exist", "start `towpath up` or `towpath api`, which makes it")]
    try:
        existing = _checked(answer, definition.name)["config"]
    except StreamError as error:
        return [StreamFault("cannot be looked at", str(error))]
    faults = [
        StreamFault(
            f"{one.setting} is {json.dumps(one.found)}, must be {json.dumps(one.wanted)}",
            _remedy(one.stream, one.setting),
        )
        for one in _unsafe(definition, existing)
    ]
    odd = sorted(definition.changes(existing).keys() - {"max_bytes", "num_replicas", "description"})
    return faults + [
        StreamFault(
            f"{setting} is {json.dumps(existing.get(setting))}, should be "
            f"{json.dumps(definition.config()[setting])}",
            "the next start of the API sets it right",
        )
        for setting in odd
    ]


async def _ensure(nc: Client, definition: StreamDefinition) -> None:
    answer = await _request_formed(nc, "INFO", definition.name)
    if _code(answer) == _NOT_FOUND:
        answer = await _request_formed(nc, "CREATE", definition.name, definition.config())
        if _code(answer) == _NAME_IN_USE:  # another process made it first, with other harmless settings
            answer = await _request_formed(nc, "INFO", definition.name)
        elif _code(answer) == _SUBJECTS_OVERLAP:
            raise UnsafeStream(
                definition.name, "subjects", "in use by another stream", list(definition.settings["subjects"])
            )
    existing = _checked(answer, definition.name)["config"]
    changes = _changes(definition, existing)
    if changes:
        updated = await _request_formed(nc, "UPDATE", definition.name, {**existing, **changes})
        _checked(updated, definition.name)


def _changes(definition: StreamDefinition, existing: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that an update must change. Raises UnsafeStream for a guarded setting that differs."""
    for unsafe in _unsafe(definition, existing):
        raise unsafe
    return definition.changes(existing)


def _unsafe(definition: StreamDefinition, existing: Mapping[str, Any]) -> list[UnsafeStream]:
    """Every guarded setting that differs."""
    wanted = definition.config()
    return [
        UnsafeStream(definition.name, setting, existing.get(setting), wanted.get(setting))
        for setting in definition.unsafe(existing)
    ]


async def _request(
    nc: Client,
    verb: str,
    name: str,
    body: Mapping[str, Any] | None = None,
    timeout: float = API_TIMEOUT_SECONDS,
) -> dict[str, Any]:
    payload = b"" if body is None else json.dumps(body).encode()
    message = await nc.request(f"$JS.API.STREAM.{verb}.{name}", payload, timeout=timeout)
    answer: dict[str, Any] = json.loads(message.data)
    return answer


async def _request_formed(
    nc: Client, verb: str, name: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Send a request; repeat it for up to FORMING_SECONDS while a cluster's servers still find each other."""
    deadline = time.monotonic() + FORMING_SECONDS
    timeout = INFO_SECONDS if verb == "INFO" else API_TIMEOUT_SECONDS
    while True:
        try:
            answer = await _request(nc, verb, name, body, timeout)
        except nats.errors.TimeoutError:
            if time.monotonic() > deadline:
                raise
        else:
            if _code(answer) not in _FORMING or time.monotonic() > deadline:
                return answer
        await asyncio.sleep(FORMING_PAUSE_SECONDS)


def _leaderless(answer: Mapping[str, Any]) -> bool:
    """Whether a replica answered that knows of no leader. A single server has none to know of."""
    return "cluster" in answer and not answer["cluster"].get("leader")


def _lead(stream: str) -> str:
    advice = "see that a majority of the servers is up and hears each other"
    if stream == Stream.REPORT:
        return (
            f"{advice}; where they do and it stays, after a power cut, no replica has all that it confirmed: "
            f"remove it with `nats stream rm {stream}`, restart `towpath api`, which makes it anew, and "
            "`towpath runner` sends again what was not applied"
        )
    return f"{advice}; where they do and it stays, back up and restore into new servers (docs/backup.md)"


def _code(answer: Mapping[str, Any]) -> int | None:
    error = answer.get("error")
    return None if error is None else int(error.get("err_code", 0))


def _checked(answer: dict[str, Any], name: str) -> dict[str, Any]:
    if "error" in answer:
        error = answer["error"]
        raise StreamError(
            f"stream {name}: the server refused: {error.get('description')} (error {error.get('err_code')}). "
            "Check its JetStream limits, its version (2.14.6 or newer) and, for replicas, the cluster's size."
        )
    return answer
