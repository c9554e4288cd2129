"""`/docs`: the OpenAPI document as one small page, made here.

FastAPI's own pages load scripts from a CDN, which a tool on an internal network must not do. This one
needs no script, no font and no other host; its content security policy forbids them.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from api.auth import ROLE_KEY

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "put", "post", "delete")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font-family: ui-monospace, monospace; font-size: .92em }
section { border-top: 1px solid #8886; padding: .6rem 0 }
h3 { margin: 0 } h3 code { font-weight: 700 } .role { float: right; opacity: .75 }
table { border-collapse: collapse } td { padding: .1rem 1rem .1rem 0; vertical-align: top }
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """The page, made from this application's document."""
    page = render(request.app.openapi())
    return HTMLResponse(
        page, headers={"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    )


def render(document: dict[str, Any]) -> str:
    """All operations of an OpenAPI document by tag, with parameters, body and answers."""
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    about = escape(document["info"].get("description", ""))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<h1>{title}</h1><p>{about}</p><p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>'
        f"{''.join(_by_tag(document))}<h2>Shapes</h2>{''.join(_shapes(document))}</body></html>"
    )


def _by_tag(document: dict[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = (item[method].get("tags") or ["other"])[0]
                by_tag.setdefault(tag, []).append(_operation(method, path, item[method]))
    for tag, operations in sorted(by_tag.items()):
        yield f"<h2>{escape(tag)}</h2>{''.join(operations)}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    role = operation.get(ROLE_KEY)
    needs = f'<span class="role">role {escape(role)}</span>' if role else ""
    rows = "".join(_rows(operation))
    return (
        f"<section>{needs}<h3><code>{method.upper()} {escape(path)}</code></h3>"
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
        f"<table>{rows}</table></section>"
    )


def _rows(operation: dict[str, Any]) -> Iterator[str]:
    for parameter in operation.get("parameters", []):
        about = parameter.get("description") or parameter["schema"].get("description", "")
        yield _row(f"{parameter['in']} {parameter['name']}", about)
    if "requestBody" in operation:
        yield _row("body", _content(operation["requestBody"]))
    for status, answer in operation.get("responses", {}).items():
        yield _row(status, f"{answer.get('description', '')} {_content(answer)}")


def _row(name: str, about: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{escape(about)}</td></tr>"


def _content(holder: dict[str, Any]) -> str:
    found = [f"{_name(one.get('schema', {}))} ({media})" for media, one in holder.get("content", {}).items()]
    return ", ".join(found)


def _name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    variants = [_name(one) for one in schema.get("anyOf", [])]
    if variants:
        return " or ".join(variants)
    if schema.get("type") == "array":
        return f"list of {_name(schema.get('items', {}))}"
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
    return " | ".join(map(str, values)) or str(schema.get("type", "any"))


def _shapes(document: dict[str, Any]) -> Iterator[str]:
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        rows = "".join(_row(field, _name(one)) for field, one in schema.get("properties", {}).items())
        about = escape(schema.get("description", ""))
        yield f"<section><h3><code>{escape(name)}</code></h3><p>{about}</p><table>{rows}</table></section>"
