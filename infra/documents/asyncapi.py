"""The AsyncAPI 3.0 document: FastStream's, from a broker that only describes, completed here.

FastStream knows channels, operations and payloads. It leaves out headers and channel parameters, names
messages with `:` (not allowed in component keys), and adds a correlation id and bindings that are not
ours. So the broker below declares one publisher or subscriber for each row of the table, never a batch,
and the rest comes from the same row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from faststream.nats import NatsBroker
from faststream.specification import AsyncAPI

from infra.documents.channels import Channel, channels
from infra.nats.stream_definitions import stream_definitions

Document = dict[str, Any]
_ABOUT = (
    "What Towpath says and hears on NATS JetStream, seen from the control plane. Events are CloudEvents 1.0 "
    "in binary mode. A plain subscription to `towpath.task.>`, `towpath.lock.>` or `towpath.workspace.>` "
    "shows stored facts only."
)


def asyncapi_document(version: str) -> Document:
    """The whole document; `version` is the program's."""
    rows = channels()
    broker = NatsBroker()
    for row in rows:
        _declare(broker, row)
    made = AsyncAPI(broker, title="Towpath", version=version, description=_ABOUT, schema_version="3.0.0")
    document: Document = made.to_specification().to_jsonable()
    return _completed(document, rows)


def _declare(broker: NatsBroker, row: Channel) -> None:
    model: Any = row.payload if isinstance(row.payload, type) else bytes
    if row.action == "send":
        broker.publisher(row.address, title=row.name, description=row.about, schema=model)
    else:
        broker.subscriber(row.address, title=row.name, description=row.about)(_taking(model))


def _taking(model: Any) -> Callable[[Any], Awaitable[None]]:
    async def take(body: Any) -> None:
        """Never called: it shows the type of a message."""

    take.__annotations__["body"] = model
    return take


def _completed(document: Document, rows: list[Channel]) -> Document:
    made = document["components"]
    messages = {row.name: _message(made["messages"], row) for row in rows}
    named = {row.name for row in rows}
    assert set(document["channels"]) == named
    return {
        "asyncapi": document["asyncapi"],
        "info": {**document["info"], "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "servers": {
            "nats": {
                "host": "localhost:4222",
                "protocol": "nats",
                "description": "`towpath up` prints where it listens; TOWPATH_NATS_URL names another. Guests "
                "on loopback need no password, runners and the control plane have users of their own.",
            }
        },
        "channels": {row.name: _channel(document["channels"][row.name], row) for row in rows},
        "operations": {row.name: _operation(row) for row in rows},
        "components": {"messages": messages, "schemas": dict(sorted(_schemas(made["schemas"]).items()))},
        "x-streams": {
            one.name: {
                "description": one.settings["description"],
                "subjects": one.settings["subjects"],
                "retention": one.settings["retention"],
            }
            for one in stream_definitions()
        },
    }


def _channel(made: Document, row: Channel) -> Document:
    return {
        "address": row.address,
        "description": made["description"],
        "servers": [{"$ref": "#/servers/nats"}],
        "parameters": {name: dict(about) for name, about in row.parameters.items()},
        "messages": {"message": {"$ref": f"#/components/messages/{row.name}"}},
        "x-stream": row.stream,
    }


def _operation(row: Channel) -> Document:
    return {
        "action": row.action,
        "channel": {"$ref": f"#/channels/{row.name}"},
        "messages": [{"$ref": f"#/channels/{row.name}/messages/message"}],
    }


def _message(made: Document, row: Channel) -> Document:
    (key,) = [key for key in made if key.partition(":")[0] == row.name]
    message: Document = {"name": row.name, "headers": row.headers}
    if row.payload == "bytes":
        return {
            **message,
            "contentType": "application/octet-stream",
            "summary": "bytes of any kind",
        }
    return {**message, "contentType": "application/json", "payload": made[key]["payload"]}


def _schemas(made: Document) -> Document:
    """FastStream's schemas of our models, without those it makes for bodies that have none."""
    return {name: schema for name, schema in made.items() if schema.get("type") == "object"}
