"""Judges messages on NATS by the published AsyncAPI document alone, and events by the `cloudevents` package.

Stricter than the document asks a reader to be: a header or field that the document does not name is found
too, since a contract that leaves something out is not true either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from jsonschema import Draft202012Validator, FormatChecker

from infra.documents import CONTRACTS

Json = dict[str, Any]
EVENT = re.compile(r"^towpath\.(append\.)?(task|lock|workspace)\.")


@dataclass(frozen=True)
class Seen:
    """One message as a subscriber got it."""

    subject: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Channel:
    name: str
    pattern: re.Pattern[str]
    locations: Mapping[str, str]
    headers: Draft202012Validator
    payload: Draft202012Validator | None


class Contract:
    """An AsyncAPI document, ready to judge."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self.channels = [self._channel(name) for name in document["channels"]]

    def wrongs(self, seen: Seen) -> list[str]:
        """What is wrong with a message; nothing where it keeps the contract."""
        for channel in self.channels:
            if matched := channel.pattern.fullmatch(seen.subject):
                found = list(self._wrongs(channel, matched.groupdict(), seen))
                if not found and EVENT.match(seen.subject):
                    found += _cloud_event_wrongs(seen)
                return [f"{seen.subject}: {one}" for one in found]
        return [f"{seen.subject}: no channel has this subject"]

    def _wrongs(self, channel: _Channel, parameters: dict[str, str], seen: Seen) -> Iterator[str]:
        yield from _errors(channel.headers, dict(seen.headers), "header")
        named = channel.headers.schema["properties"]
        yield from (f"header {name} is not in the document" for name in seen.headers if name not in named)
        body: Any = None
        if channel.payload is not None:
            try:
                body = json.loads(seen.body)
            except ValueError:
                yield "the body is no JSON"
                return
            yield from _errors(channel.payload, body, "payload")
            yield from _unnamed(channel.payload, body)
        for parameter, location in channel.locations.items():
            where, _, name = location.partition("#/")
            holder = seen.headers if where == "$message.header" else body
            if str(holder.get(name)) != parameters[parameter]:
                yield f"{location} is {holder.get(name)!r}"

    def _channel(self, name: str) -> _Channel:
        channel = self._document["channels"][name]
        message = self._resolve(self._resolve(channel["messages"]["message"])) if channel["messages"] else {}
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^.]+)", re.escape(channel["address"]))
        payload = message.get("payload")
        return _Channel(
            name,
            re.compile(pattern),
            {key: one["location"] for key, one in channel["parameters"].items() if "location" in one},
            self._validator(message["headers"]),
            self._validator(payload) if payload is not None else None,
        )

    def _validator(self, schema: Json) -> Draft202012Validator:
        resolved = self._resolve(schema)
        whole = {**resolved, "components": self._document["components"]}
        return Draft202012Validator(whole, format_checker=FormatChecker())

    def _resolve(self, schema: Json) -> Json:
        if "$ref" not in schema:
            return schema
        found: Any = self._document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found


@cache
def published() -> Contract:
    """The contract that stands in the repository."""
    return Contract(json.loads((CONTRACTS / "asyncapi.json").read_text()))


def _errors(validator: Draft202012Validator, value: Any, what: str) -> Iterator[str]:
    for error in validator.iter_errors(value):
        yield f"{what} {'.'.join(map(str, error.path))}: {error.message}"


def _unnamed(validator: Draft202012Validator, body: Any) -> Iterator[str]:
    named = validator.schema.get("properties", {})
    if isinstance(body, dict):
        yield from (f"field {name} is not in the document" for name in body if name not in named)


def _cloud_event_wrongs(seen: Seen) -> Iterator[str]:
    """An independent reader of CloudEvents: NATS has the same binary mode as HTTP."""
    headers = {**seen.headers, "content-type": seen.headers.get("ce-datacontenttype", "")}
    try:
        event = from_binary_event(HTTPMessage(headers, seen.body))
    except Exception as error:
        yield f"the cloudevents package refuses it: {error!r}"
        return
    if event.get_type() != seen.headers["ce-type"] or event.get_data() != json.loads(seen.body):
        yield "the cloudevents package reads something else"
