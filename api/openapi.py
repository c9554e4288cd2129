"""The OpenAPI document: FastAPI's own, completed by what FastAPI cannot see.

Problems have a media type of their own, and the status route is a plain ASGI endpoint. `problems(…)`
is how a route says which errors it may answer.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.auth import RUNNER_SCHEME, SECURITY_SCHEME
from api.problems import MEDIA_TYPE, FieldError, Problem, ValidationProblem
from domain.task_read import TaskRead
from domain.wire import RUNNER_TOKEN_HEADER, Report

STATUS_PATH = "/runner/tasks/{task_id}/status"
_REF = "#/components/schemas/{model}"
_SAYS = {
    400: "the body is no JSON",
    401: "no known token",
    403: "the token's role does not allow it",
    404: "there is no such thing",
    409: "the present state does not allow it",
    413: "the body is too large",
    415: "the body is not declared as JSON",
    422: "the request does not have the right shape",
    503: "try again later (Retry-After)",
    507: "the log has no room left",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a guarded route: these errors, and the ones every guarded route has."""
    return {status: problem(status) for status in sorted({401, 403, 422, *statuses})}


def problem(status: int) -> dict[str, Any]:
    """One documented error."""
    model = "ValidationProblem" if status == 422 else "Problem"
    return {
        "description": _SAYS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=model)}}},
    }


def install(app: FastAPI) -> None:
    """Let `app.openapi()` answer the completed document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            app.openapi_schema = _completed(schema)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name, one in _schemas(Problem, ValidationProblem, FieldError, Report, TaskRead).items():
        schemas.setdefault(name, one)
    components["securitySchemes"] = {
        SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "description": "TOWPATH_API_TOKENS"},
        RUNNER_SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": RUNNER_TOKEN_HEADER,
            "description": "the submission's status_callback_token, or API_RUNNER_CALLBACK_TOKEN",
        },
    }
    schema["paths"][STATUS_PATH] = {"post": _report_operation()}
    return schema


def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """JSON schemas by name: request bodies as they are read, answers as they are written."""
    modes = [(model, "validation" if model is Report else "serialization") for model in models]
    _, found = models_json_schema(modes, ref_template=_REF)  # type: ignore[arg-type]
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def _report_operation() -> dict[str, Any]:
    json_of = {
        name: {"application/json": {"schema": {"$ref": _REF.format(model=name)}}}
        for name in ("Report", "TaskRead")
    }
    task_id = {"type": "string", "format": "uuid", "examples": ["0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"]}
    return {
        "tags": ["runners"],
        "summary": "Report",
        "operationId": "report",
        "description": "The callback gateway: what a runner says happened to its attempt. A duplicate or "
        "late report of the same attempt answers 200 and records nothing.",
        "security": [{RUNNER_SCHEME: []}, {}],
        "parameters": [{"name": "task_id", "in": "path", "required": True, "schema": task_id}],
        "requestBody": {"required": True, "content": json_of["Report"]},
        "responses": {
            "200": {"description": "the task as it is now", "content": json_of["TaskRead"]},
            **{str(status): problem(status) for status in (400, 401, 404, 409, 413, 422, 503, 507)},
        },
    }
