"""`/docs`: the OpenAPI document for people, made here from the document itself."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.auth import ROLE_KEY
from api.schema.html import Group, card, frame, kind, page_response, shape_group, shapes, table

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "put", "post", "delete")
_LINKS = ("/openapi.json", "/asyncapi", "/asyncapi.json", "/schemas")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page, made from this application's document."""
    return page_response(render(request.app.openapi()))


def render(document: dict[str, Any]) -> str:
    """All operations of an OpenAPI document by tag, with parameters, body and answers."""
    info, schemas = document["info"], document.get("components", {}).get("schemas", {})
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for method, path, operation in _operations(document.get("paths", {})):
        by_tag.setdefault((operation.get("tags") or ["other"])[0], []).append((method, path, operation))
    for method, path, operation in _operations(document.get("webhooks", {})):
        by_tag.setdefault("what a push runner serves", []).append((method, path, operation))
    groups: list[Group] = [
        (tag, [(_anchor(method, path), f"{method.upper()} {path}") for method, path, _ in found])
        for tag, found in sorted(by_tag.items())
    ]
    body = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(_card(*one) for one in found)}"
        for tag, found in sorted(by_tag.items())
    )
    return frame(
        f"{info['title']} {info['version']}",
        info.get("description", ""),
        _LINKS,
        [*groups, shape_group(schemas)],
        f"{body}<h2>Shapes</h2>{shapes(schemas)}",
    )


def _operations(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                yield method, path, item[method]


def _anchor(method: str, path: str) -> str:
    """What a runner serves has no leading slash, and another anchor than the route of the same name."""
    whose = "" if path.startswith("/") else "runner-"
    return f"{whose}{method}-{path.strip('/').translate(str.maketrans('/{}', '---'))}"


def _card(method: str, path: str, operation: dict[str, Any]) -> str:
    role = operation.get(ROLE_KEY)
    about = operation.get("description") or operation.get("summary", "")
    parameters = operation.get("parameters", [])
    rest = table(
        "Parameters",
        [(one["name"], f"{one['in']}: {kind(one['schema'])}", _about(one)) for one in parameters],
        [one["name"] for one in parameters if one.get("required")],
    )
    if "requestBody" in operation:
        rest += f"<h4>Body</h4><p>{_content(operation['requestBody'])}</p>"
    answers = operation.get("responses", {}).items()
    rest += table("Answers", [(status, _content(one), one.get("description", "")) for status, one in answers])
    return card(_anchor(method, path), method, path, about, rest, f"role {role}" if role else "")


def _about(parameter: dict[str, Any]) -> str:
    return str(parameter.get("description") or parameter["schema"].get("description", ""))


def _content(holder: dict[str, Any]) -> str:
    """What a body may be, as HTML."""
    found = []
    for media, one in holder.get("content", {}).items():
        said = "" if media == "application/json" else f' <span class="dim">{escape(media)}</span>'
        found.append(f"{kind(one.get('schema', {}))}{said}")
    return ", ".join(found)
