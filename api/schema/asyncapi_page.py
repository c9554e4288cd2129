"""`/asyncapi`: the AsyncAPI document as a page."""

from __future__ import annotations

from html import escape
from typing import Any

from api.schema.html import Group, card, fields, frame, kind, shape_group, shapes, table
from domain.subjects import prefix

_LINKS = ("/asyncapi.json", "/docs", "/openapi.json", "/schemas")
_SAYS = {"send": "control plane → NATS", "receive": "NATS → control plane"}
_GROUPS = (
    (prefix("task"), "Task events"),
    (prefix("lock"), "Lock events"),
    (prefix("workspace"), "Workspace events"),
    (prefix("append"), "Appends (control plane only)"),
)
_OTHER = "Work, reports, heartbeats"


def render(document: dict[str, Any]) -> str:
    """All channels by what they are about, with parameters, headers and payload."""
    info, components = document["info"], document["components"]
    grouped: dict[str, list[str]] = {_OTHER: [], **{title: [] for _, title in _GROUPS}}
    for name, channel in document["channels"].items():
        grouped[_group(channel["address"])].append(name)
    body = "".join(
        f"<h2>{escape(title)}</h2>{''.join(_card(document, name) for name in names)}"
        for title, names in grouped.items()
    )
    groups: list[Group] = [(title, [(name, name) for name in names]) for title, names in grouped.items()]
    return frame(
        f"{info['title']} {info['version']} on NATS",
        info["description"],
        _LINKS,
        [*groups, shape_group(components["schemas"])],
        f"{body}<h2>Shapes</h2>{shapes(components['schemas'])}",
    )


def _group(address: str) -> str:
    return next((title for prefix, title in _GROUPS if address.startswith(prefix)), _OTHER)


def _card(document: dict[str, Any], name: str) -> str:
    channel, action = document["channels"][name], document["operations"][name]["action"]
    message = document["components"]["messages"][name]
    rest = table(
        "Parameters",
        [
            (one, escape(", ".join(about.get("examples", []))), about.get("description", ""))
            for one, about in channel["parameters"].items()
        ],
    )
    body = kind(message["payload"]) if "payload" in message else escape(message["summary"])
    rest += f"<h4>Payload</h4><p>{body}</p>"
    headers = fields("", message["headers"])
    if headers:
        rest += f"<details><summary>Headers</summary>{headers}</details>"
    stream = channel.get("x-stream")
    note = f"{_SAYS[action]} · {f'stream {stream}' if stream is not None else 'not stored'}"
    return card(name, action, channel["address"], channel["description"], rest, note)
