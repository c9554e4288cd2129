"""The AsyncAPI document and the schemas are sound in themselves, and the pinned events keep them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.log.events import EVENTS, type_name
from infra.documents import CONTRACTS
from infra.documents.typescript import typescript
from infra.nats.stream_definitions import stream_definitions
from tests.support.observers.contract import Seen, published
from tests.support.repository import GOLDEN

EXAMPLES = sorted(GOLDEN.glob("*.v1.json"))
SCHEMAS = sorted((CONTRACTS / "schemas").iterdir())
DOCUMENT: dict[str, Any] = json.loads((CONTRACTS / "asyncapi.json").read_text())
GRANT = next(file for file in EXAMPLES if file.name == "lock.granted.v1.json")


def _golden(file: Path) -> tuple[Seen, Seen]:
    """The event as it is appended and as it is stored."""
    pinned = json.loads(file.read_text())
    body = pinned["data"].encode()
    appended = Seen(pinned["append_subject"], pinned["headers"], body)
    return appended, Seen(pinned["subject"], pinned["headers"], body)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_pinned_events_keep_the_contract(file: Path) -> None:
    for seen in _golden(file):
        assert published().wrongs(seen) == []


def test_the_judge_finds_what_is_wrong() -> None:
    _, good = _golden(GRANT)
    body = json.loads(good.body)
    for wrong in (
        Seen("towpath.lock.acme-api.stolen", good.headers, good.body),
        Seen("towpath.lock.other.granted", good.headers, good.body),
        Seen(good.subject, {**good.headers, "ce-entityversion": "0"}, good.body),
        Seen(good.subject, {**good.headers, "ce-new": "1"}, good.body),
        Seen(good.subject, {k: v for k, v in good.headers.items() if k != "ce-chain"}, good.body),
        Seen(good.subject, good.headers, json.dumps({**body, "mode": "greedy"}).encode()),
        Seen(good.subject, good.headers, json.dumps({**body, "more": 1}).encode()),
        Seen(good.subject, good.headers, b"no JSON"),
    ):
        assert published().wrongs(wrong) != [], wrong


def test_every_event_has_a_channel_a_schema_and_a_pinned_sample() -> None:
    names = {f"{kind}.{event}" for kind, event in EVENTS}
    assert names | {f"append.{name}" for name in names} <= DOCUMENT["channels"].keys()
    assert {f"{name}.v1" for name in names} <= {file.stem for file in SCHEMAS}
    assert {file.stem for file in EXAMPLES} == {f"{name}.v1" for name in names}
    for kind, event in EVENTS:
        headers = DOCUMENT["components"]["messages"][f"{kind}.{event}"]["headers"]["properties"]
        assert headers["ce-type"] == {"const": type_name(kind, event)}


def test_every_stream_is_described_and_every_channel_belongs_to_its_stream() -> None:
    taken = {
        one.name: [*one.settings["subjects"], re.sub(r"{{.*?}}", "*", one.settings["republish"]["dest"])]
        if "republish" in one.settings
        else one.settings["subjects"]
        for one in stream_definitions()
    }
    addresses = {name: channel["address"] for name, channel in DOCUMENT["channels"].items()}
    of_stream = {name: one["x-stream"] for name, one in DOCUMENT["channels"].items() if "x-stream" in one}
    assert set(of_stream.values()) == taken.keys()
    assert DOCUMENT["channels"].keys() - of_stream.keys() == {"output"}, "core NATS stores no other message"
    for name, channel in DOCUMENT["channels"].items():
        stream = of_stream.get(name)
        if stream and (stream not in ("TOWPATH", "TOWPATH_CHECKPOINT") or name.startswith("append.")):
            subject = re.sub(r"\{\w+\}", "x", addresses[name])
            assert any(_takes(one, subject) for one in taken[stream]), addresses[name]
        named = set(re.findall(r"\{(\w+)\}", addresses[name]))
        assert named == channel["parameters"].keys()


def test_component_keys_are_allowed_and_references_lead_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for kind in ("messages", "schemas"):
        assert all(re.fullmatch(r"[\w.\-]+", key) for key in DOCUMENT["components"][kind])
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found: Any = DOCUMENT
        for part in reference.split("/"):
            found = found[part]
        assert found


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.stem)
def test_schemas_are_json_schema_2020_12_and_say_what_the_document_says(file: Path) -> None:
    schema = json.loads(file.read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:towpath:schema:{file.stem}"
    Draft202012Validator.check_schema(schema)
    shared = DOCUMENT["components"]["schemas"].get(schema["title"])
    if shared is not None:
        assert schema["properties"].keys() == shared["properties"].keys()
        assert schema.get("required") == shared.get("required")


def test_a_schema_that_typescript_cannot_say_stops_the_generation() -> None:
    with pytest.raises(KeyError):
        typescript({"components": {"schemas": {"New": {"type": "tuple"}}}})


def _takes(pattern: str, subject: str) -> bool:
    parts = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
    return re.fullmatch(parts, subject) is not None
