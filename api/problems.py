"""Errors as RFC 9457 `application/problem+json`: one table maps errors to statuses.

`type` is `urn:towpath:problem:<code>`; codes are stable, `detail` says what to do, and a DomainError's
extra members (holders, attempt, …) stand beside them. What a client sent is never echoed: it may hold
secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from domain.errors import Busy, DomainError, Invalid, LogFull, NotFound, Refused
from domain.validation.outside_text import storable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
NOT_KEPT = ("Cache-Control", "no-store")
"""The header of answers that are for one caller at one time: a browser shows them again after a logout."""

STATUS: Mapping[type[DomainError], int] = {
    Invalid: 422,
    NotFound: 404,
    Refused: 409,
    Busy: 503,
    LogFull: 507,
}

_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("malformed-body", "the body cannot be read; send one JSON value in UTF-8"),
    404: ("no-such-route", "there is no such route; GET /docs lists them all"),
    405: ("method-not-allowed", "this route takes other methods; the Allow header names them"),
}


class Problem(BaseModel):
    """An error. `code` is stable and the last part of `type`; more members may stand beside these."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:towpath:problem:no-such-task"])
    title: str
    status: int
    detail: str
    code: str


class FieldError(BaseModel):
    """What is wrong with one field; `loc` is its path, e.g. `body.command`."""

    loc: str
    msg: str
    type: str


class ValidationProblem(Problem):
    """A 422 of a request that does not have the right shape."""

    errors: list[FieldError] = []


class HttpProblem(HTTPException):
    """An error of HTTP rather than of the domain, such as a missing token or a wrong media type."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(status, detail, headers)
        self.code = code
        self.extra = extra


def problem_response(
    status: int,
    code: str,
    detail: str,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An error as a response. All problem responses are made here."""
    body = {
        **jsonable_encoder(dict(extra or {})),
        "type": f"urn:towpath:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Response(json.dumps(body), status, dict([NOT_KEPT, *(headers or {}).items()]), MEDIA_TYPE)


def status_of(error: DomainError) -> int:
    """The status of a domain error; the table lists every class."""
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))


def domain_response(error: DomainError) -> Response:
    """A domain error as a problem; a retryable one has `Retry-After`."""
    status = status_of(error)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == STATUS[Busy] else None
    return problem_response(status, error.code, error.detail, error.extra, headers)


def http_response(error: HttpProblem) -> Response:
    """An HTTP error as a problem."""
    return problem_response(error.status_code, error.code, error.detail, error.extra, error.headers)


def invalid_shape(errors: Sequence[Mapping[str, Any]]) -> Response:
    """Validation errors as a problem: 400 if the body is not JSON, else 422 with `errors`."""
    if any(error["type"] == "json_invalid" for error in errors):
        return problem_response(400, *_HTTP[400])
    found = [
        {
            "loc": storable(".".join(str(part) for part in error["loc"])),
            "msg": error["msg"].removeprefix("Value error, "),  # pydantic's prefix
            "type": error["type"],
        }
        for error in errors[:20]
    ]
    detail = "; ".join(f"{error['loc'] or 'body'}: {error['msg']}" for error in found[:3])
    return problem_response(422, "invalid-request", f"correct the request: {detail}", {"errors": found})


def body_errors(error: ValidationError) -> list[Mapping[str, Any]]:
    """Errors of a body that was validated by hand, with locations in FastAPI's format."""
    return [
        {"loc": ("body", *one["loc"]), "msg": one["msg"], "type": one["type"]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def install(app: FastAPI) -> None:
    """Convert every error of `app` to a problem."""
    app.add_exception_handler(DomainError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _domain(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    if isinstance(error, Refused):
        request.app.state.metrics.refused(error.code)
    return domain_response(error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    whole_body = any(tuple(one["loc"]) == ("body",) and one["type"] != "missing" for one in errors)
    if whole_body and "json" not in request.headers.get("content-type", "").lower():
        return problem_response(415, "not-json", "send the body with Content-Type: application/json")
    return invalid_shape(errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, HttpProblem):
        return http_response(error)
    code, detail = _HTTP.get(error.status_code, ("http-error", str(error.detail)))
    headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
    return problem_response(error.status_code, code, detail, None, headers)


def _methods(request: Request) -> list[str]:
    """All methods of the path; a route knows only its own, and the router reports only the first route's."""
    found = [one for one in leaves(request.app.routes) if one.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in found for method in getattr(route, "methods", None) or ()}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def leaves(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """All single routes, including those of included routers."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from leaves(included.routes)


async def _unexpected(request: Request, error: Exception) -> Response:
    structlog.get_logger("towpath.api").error(
        "request failed", method=request.method, path=request.url.path, error=repr(error)
    )
    return problem_response(
        500, "internal-error", "this is a fault of the server, recorded in its log; GET /readyz says more"
    )
