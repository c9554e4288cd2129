"""The published contracts: AsyncAPI, JSON Schemas, TypeScript types.

They need no token, like the OpenAPI document: they describe how to use Towpath and contain no tasks. Only
files in the directory are served, by their own names.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.auth import Parts
from api.dependencies import ApiParts
from api.schema.asyncapi_page import render
from api.schema.html import page_response
from api.schema.openapi import problem
from domain.errors import NotFound

TYPES = "towpath.d.ts"
SchemaName = Annotated[
    str, PathParameter(description="as `GET /schemas` lists it", examples=["task.running.v1.json"])
]
_SCHEMA_TYPE = "application/schema+json"
_TYPES_TYPE = "text/plain; charset=utf-8"

router = APIRouter(tags=["contracts"])
pages = APIRouter(include_in_schema=False)


class SchemaList(BaseModel):
    """Names of the JSON Schemas and the TypeScript types."""

    schemas: list[str]
    types: str


@router.get("/asyncapi.json", response_class=JSONResponse)
async def asyncapi(parts: Parts) -> Response:
    """All messages of Towpath on NATS, as an AsyncAPI 3.0 document."""
    return Response(await _read(parts, "asyncapi.json"), media_type="application/json")


@router.get("/schemas", response_model=SchemaList)
async def schema_list(parts: Parts) -> Any:
    """The JSON Schemas of events, reports, submissions and heartbeats."""
    names = sorted(await _schemas(parts))
    return SchemaList(schemas=[f"/schemas/{name}" for name in names], types=f"/schemas/{TYPES}")


@router.get(
    "/schemas/{name}",
    response_class=Response,
    responses={
        200: {
            "description": "a JSON Schema (2020-12), or the TypeScript types",
            "content": {
                _SCHEMA_TYPE: {"schema": {"type": "object"}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        404: problem(404),
        422: problem(422),
    },
)
async def schema(name: SchemaName, parts: Parts) -> Response:
    """One schema, e.g. `task.running.v1.json`, or `towpath.d.ts`."""
    if name == TYPES:
        return Response(await _read(parts, TYPES), media_type=_TYPES_TYPE)
    if name not in await _schemas(parts):
        raise NotFound("no-such-schema", "there is no such schema; GET /schemas lists them")
    return Response(await _read(parts, f"schemas/{name}"), media_type=_SCHEMA_TYPE)


@pages.get("/asyncapi")
async def asyncapi_page(request: Request, parts: Parts) -> HTMLResponse:
    """The AsyncAPI document for people."""
    return page_response(render(json.loads(await _read(parts, "asyncapi.json"))))


async def _schemas(parts: ApiParts) -> set[str]:
    return await asyncio.to_thread(_names, parts.contracts / "schemas")


def _names(directory: Path) -> set[str]:
    return {file.name for file in directory.glob("*.json")}


async def _read(parts: ApiParts, name: str) -> bytes:
    return await asyncio.to_thread((parts.contracts / name).read_bytes)
