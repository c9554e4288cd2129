"""The OpenAPI document: FastAPI's, completed with what FastAPI cannot see.

Problems have a media type of their own, and the status route is a plain ASGI endpoint. `problems(…)` declares
a route's errors.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.auth import ROLE_KEY, RUNNER_SCHEME, SECURITY_SCHEME, SESSION_SCHEME
from api.problems import MEDIA_TYPE, FieldError, Problem, ValidationProblem
from api.queries.as_of import AS_OF
from api.session_cookies import CONSOLE_HEADER
from api.sessions import COOKIE, SECURE_COOKIE
from domain.identifiers import TASK_ID_PATTERN
from domain.log.events import EVENTS
from domain.protocol import JOB_TOKEN_HEADER, RUNNER_AUTH_HEADER, Accepted, Report, Submission
from domain.task.view import TaskRead

STATUS_PATH = "/runner/tasks/{task_id}/status"
_REF = "#/components/schemas/{model}"
_READ = (Report, Submission, Accepted)
_BY_HAND = (Problem, ValidationProblem, FieldError, TaskRead, *_READ)
_SAYS = {
    400: "the body is no JSON",
    401: "no known token",
    403: "the token's role does not allow it; or it is for a foreign host, or from a foreign page",
    404: "there is no such thing",
    408: "the body did not come in time",
    409: "the present state does not allow it",
    413: "the body is too large",
    415: "the body is not declared as JSON",
    422: "the request does not have the right shape",
    503: "try again later (Retry-After)",
    507: "the log has no room left",
}


_DONE = {"200": "as asked for", "201": "made", "202": "taken", "204": "removed"}
_OPERATOR = (
    "For people and their programs: all routes but those under /runner. Paste a token as it stands behind "
    "the colon in TOWPATH_API_TOKENS, without its role and name (`operator=alice:TOKEN`: paste TOKEN); it is "
    "sent as `Authorization: Bearer TOKEN`. Leave this empty where the API has no tokens. `/session` tells "
    "what a token permits."
)
_RUNNER = (
    "For runners: the routes under /runner. Paste API_RUNNER_CALLBACK_TOKEN, or the `status_callback_token` "
    "of one attempt's submission; a job pastes its TOWPATH_JOB_TOKEN. It is sent as `X-Runner-Token: TOKEN`."
)
_AS_OF = {
    "description": "the answer shows the log at least up to this sequence",
    "schema": {"type": "integer", "minimum": 0},
}
_SESSION = (
    f"For the console: the cookie that the route `/session` sets, `{SECURE_COOKIE}` over TLS. Requests that "
    f"change something need `{CONSOLE_HEADER}: 1` and the page's `Origin` beside it. Bearer tokens go first."
)
_JOB_TOKEN = {
    "description": "for the job of a running attempt; only where the report was sent with a key of the "
    "runner's own, which gets no submission",
    "schema": {"type": "string"},
}
_UNSAID = "Successful Response"  # FastAPI's default description


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a guarded route: these errors, and those of every guarded route."""
    with_body = {408} if 413 in statuses else set()
    return {status: problem(status) for status in sorted({401, 403, 422, *with_body, *statuses})}


def problem(status: int) -> dict[str, Any]:
    """One documented error."""
    model = "ValidationProblem" if status == 422 else "Problem"
    return {
        "description": _SAYS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model=model)}}},
    }


class Described(FastAPI):
    """An application that serves the completed document."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            schema = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            self.openapi_schema = _completed(schema)
        return self.openapi_schema


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name, one in _schemas(*_BY_HAND).items():
        schemas.setdefault(name, one)
    components["securitySchemes"] = {
        SECURITY_SCHEME: {"type": "http", "scheme": "bearer", "description": _OPERATOR},
        SESSION_SCHEME: {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": _SESSION},
        RUNNER_SCHEME: {
            "type": "apiKey",
            "in": "header",
            "name": RUNNER_AUTH_HEADER,
            "description": _RUNNER,
        },
    }
    schemas["EventRead"]["properties"]["data"] = _event_data(schemas)
    _say_what_is_done(schema["paths"])
    schema["webhooks"] = _webhooks()
    schema["paths"][STATUS_PATH] = {"post": _report_operation()}
    return schema


def _say_what_is_done(paths: dict[str, Any]) -> None:
    for method, operation in (pair for item in paths.values() for pair in item.items()):
        for status, answer in operation["responses"].items():
            if answer["description"] == _UNSAID:
                answer["description"] = _DONE[status]
            if method == "get" and ROLE_KEY in operation and status.startswith("2"):
                answer.setdefault("headers", {})[AS_OF] = _AS_OF


def _event_data(schemas: dict[str, Any]) -> dict[str, Any]:
    """The possible types of `data`; `type` selects one. Env values are shown as ***."""
    models = tuple(dict.fromkeys(EVENTS.values()))
    for name, one in _schemas(*models).items():
        schemas.setdefault(name, one)
    return {
        "title": "Data",
        "description": "as `type` says; env values are left out",
        "anyOf": [{"$ref": _REF.format(model=model.__name__)} for model in models],
    }


def _webhooks() -> dict[str, Any]:
    """The API of a push runner: the control plane calls it at HOST_RUNNER_URL."""
    refused = {"description": "refused: the attempt ends `submit-failed`, reason `rejected`, with `detail`"}
    away = {"description": "the attempt ends `submit-failed`, reason `unreachable`"}
    submit = {
        "operationId": "submit",
        "description": "POST <HOST_RUNNER_URL>/tasks/submit: take an attempt. Answer within 10 seconds, "
        "before you work; one with a known task_id and attempt is accepted already.",
        "requestBody": {"required": True, "content": _json("Submission")},
        "responses": {
            "202": {"description": "taken", "content": _json("Accepted")},
            "4XX": refused,
            "5XX": away,
        },
    }
    cancel = {
        "operationId": "cancelSubmitted",
        "description": "POST <HOST_RUNNER_URL>/tasks/<task_id>/cancel: stop the attempt with all its "
        "processes, then report `canceled`.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"attempt": {"type": "integer", "minimum": 1}},
                        "required": ["attempt"],
                    }
                }
            },
        },
        "responses": {"202": {"description": "will stop"}, "404": {"description": "never heard of it"}},
    }
    pushed = {"security": [{RUNNER_SCHEME: []}, {}], "tags": ["push runner"]}
    return {
        "tasks/submit": {"post": {**submit, **pushed}},
        "tasks/{task_id}/cancel": {"post": {**cancel, **pushed}},
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}


def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """JSON schemas by name: request bodies in input form, responses in output form."""
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (model, "validation" if model in _READ else "serialization") for model in models
    ]
    _, found = models_json_schema(modes, ref_template=_REF)
    definitions: dict[str, Any] = found["$defs"]
    return definitions


def _report_operation() -> dict[str, Any]:
    task_id = {
        "type": "string",
        "format": "uuid",
        "pattern": TASK_ID_PATTERN,
        "examples": ["0198c5a2-7c1e-7bbd-9f5e-0d9a4f6f1c11"],
    }
    return {
        "tags": ["runners"],
        "summary": "Report",
        "operationId": "report",
        "description": "The callback gateway: what a runner says happened to its attempt. A duplicate or "
        "late report of the same attempt answers 200 and records nothing.",
        "security": [{RUNNER_SCHEME: []}, {}],
        "parameters": [{"name": "task_id", "in": "path", "required": True, "schema": task_id}],
        "requestBody": {"required": True, "content": _json("Report")},
        "responses": {
            "200": {
                "description": "the task as it is now",
                "content": _json("TaskRead"),
                "headers": {JOB_TOKEN_HEADER: _JOB_TOKEN},
            },
            **{
                str(status): problem(status)
                for status in (400, 401, 403, 404, 408, 409, 413, 415, 422, 503, 507)
            },
        },
    }
