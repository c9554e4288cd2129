"""HTTP intake: submit, look, cancel, output, health.

It executes what it receives, so it checks the runner token, if one is set, before it reads a body. It rejects
browsers: a web page can POST to 127.0.0.1, but not without an `Origin` header, nor as JSON, nor under its own
host name without showing it in `Host`.
"""

from __future__ import annotations

import hmac
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.context.trace import TRACEPARENT, under_traceparent
from domain.identifiers import RunnerId, TaskId, check_task_id
from domain.protocol import RUNNER_AUTH_HEADER, Accepted, Submission
from domain.runners.output_range import ATTEMPT, GONE, RANGE_BYTES, RangeRequest
from domain.validation.json_reader import NotJson, parsed, read_json
from domain.validation.web_hosts import WebHosts
from runner.attempts.executor import Executor
from runner.errors import StateTrouble, SubmissionRefused
from runner.health import Health
from runner.output.ranges import OutputMissing, OutputRanges
from runner.store.state import Attempt, RunnerState

BODY_BYTES = 1024 * 1024
_TOO_LARGE = SubmissionRefused(413, "too-large", f"a submission has at most {BODY_BYTES} bytes")


class HttpIntake:
    """Routes for one executor. `app` is an ASGI application."""

    def __init__(
        self,
        executor: Executor,
        state: RunnerState,
        outputs: OutputRanges,
        health: Health,
        runner_id: RunnerId,
        token: str | None,
        hosts: WebHosts,
    ) -> None:
        self._executor = executor
        self._state = state
        self._outputs = outputs
        self._health_of = health
        self._runner_id = runner_id
        self._token = token
        routes = Starlette(
            routes=[
                Route("/tasks/submit", self._submit, methods=["POST"]),
                Route("/tasks/{task_id}/cancel", self._cancel, methods=["POST"]),
                Route("/tasks/{task_id}/output", self._output, methods=["GET"]),
                Route("/tasks/{task_id}", self._look, methods=["GET"]),
                Route("/health", self._health, methods=["GET"]),
            ],
            exception_handlers={
                SubmissionRefused: _problem,
                StateTrouble: _no_storage,
                ClientDisconnect: _cut_off,
            },
        )
        self.app = _GuardHosts(routes, hosts)

    async def _submit(self, request: Request) -> Response:
        self._admit(request)
        try:
            submission = parsed(Submission, await _body(request))
        except ValidationError as error:
            raise SubmissionRefused(422, "invalid-submission", _explain(error)) from None
        with under_traceparent(request.headers.get(TRACEPARENT)):
            attempt = self._executor.accept(submission, "http")
        answer = Accepted(
            task_id=attempt.key.task_id,
            attempt=attempt.key.attempt,
            runner_id=self._runner_id,
            instance=self._state.instance,
        )
        return JSONResponse(answer.model_dump(), status_code=202)

    async def _look(self, request: Request) -> Response:
        self._admit(request)
        attempt = self._state.newest(_task_id(request))
        if attempt is None:
            raise _unknown(request)
        return JSONResponse(self._view(attempt))

    async def _output(self, request: Request) -> Response:
        """A range of an attempt's output, by default of its newest one here."""
        self._admit(request)
        task_id = _task_id(request)
        newest = self._state.newest(task_id)
        given = {"attempt": newest.key.attempt if newest else 1, **request.query_params, "task_id": task_id}
        try:
            asked = RangeRequest.model_validate(given)
        except ValidationError as error:
            raise SubmissionRefused(422, "invalid-request", _explain(error)) from None
        try:
            await self._outputs.ready(asked)
            found = await self._outputs.read(
                asked.model_copy(update={"limit": min(asked.limit, RANGE_BYTES)})
            )
        except OutputMissing as missing:
            raise SubmissionRefused(404, GONE, str(missing)) from None
        headers = {**found.headers(), ATTEMPT: str(asked.attempt), "X-Content-Type-Options": "nosniff"}
        return Response(found.data, headers=headers, media_type="application/octet-stream")

    async def _cancel(self, request: Request) -> Response:
        self._admit(request)
        attempt = self._executor.cancel(_task_id(request), _named_attempt(await _body(request)))
        if attempt is None:
            raise _unknown(request)
        return JSONResponse(self._view(attempt), status_code=202)

    async def _health(self, _: Request) -> Response:
        said = self._health_of.look()
        return JSONResponse(said, 200 if said["intake"] == "open" else 503)

    def _view(self, attempt: Attempt) -> dict[str, Any]:
        waiting = attempt.phase in {"accepted", "starting"}
        return {
            "task_id": attempt.key.task_id,
            "attempt": attempt.key.attempt,
            "status": attempt.outcome or ("queued" if waiting else attempt.phase),
            "runner_id": self._runner_id,
        }

    def _admit(self, request: Request) -> None:
        if self._token is not None:
            given = request.headers.get(RUNNER_AUTH_HEADER, "")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise SubmissionRefused(
                    401, "runner-token", f"send this runner's token in {RUNNER_AUTH_HEADER}"
                )
        elif "origin" in request.headers:
            raise SubmissionRefused(
                403, "no-browsers", "web pages may not call a runner without a TOWPATH_RUNNER_TOKEN"
            )


class _GuardHosts:
    """Rejects requests for another host, and those from a web page of another host."""

    def __init__(self, app: ASGIApp, hosts: WebHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        foreign = self._hosts.refusal(scope["headers"], scope["http_version"])
        if foreign is None:
            await self._app(scope, receive, send)
        else:
            refused = SubmissionRefused(foreign.status, foreign.code, foreign.detail)
            await _problem(Request(scope), refused)(scope, receive, send)


async def _body(request: Request) -> bytes:
    body = b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:18]) > BODY_BYTES:
        raise _TOO_LARGE
    if (length.strip("0") or "transfer-encoding" in request.headers) and kind != "application/json":
        raise SubmissionRefused(415, "not-json", "send the body with Content-Type: application/json")
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            raise _TOO_LARGE
    return body


def _task_id(request: Request) -> TaskId:
    try:
        return check_task_id(request.path_params["task_id"])
    except ValueError as error:
        raise SubmissionRefused(422, "task-id", str(error)) from None


def _named_attempt(body: bytes) -> int | None:
    """`{"attempt": n}` cancels only that attempt; an empty body cancels the newest."""
    if not body:
        return None
    try:
        attempt = read_json(body).get("attempt")
    except (NotJson, AttributeError):
        raise SubmissionRefused(400, "invalid-cancel", 'send {"attempt": n}, or no body') from None
    if attempt is not None and (not isinstance(attempt, int) or isinstance(attempt, bool)):
        raise SubmissionRefused(400, "invalid-cancel", "`attempt` is a whole number")
    return attempt


def _unknown(request: Request) -> SubmissionRefused:
    return SubmissionRefused(
        404, "unknown-task", f"this runner knows no such attempt of {request.path_params['task_id']}"
    )


def _explain(error: ValidationError) -> str:
    found = error.errors(include_input=False, include_url=False)
    return "; ".join("/".join(map(str, item["loc"])) + ": " + item["msg"] for item in found[:10])


def _no_storage(request: Request, error: Exception) -> Response:
    return _problem(request, SubmissionRefused(507, "no-storage", str(error)))


def _cut_off(_: Request, __: Exception) -> Response:
    """The client left in the middle of its request; nothing was accepted, and no one reads the response."""
    return Response(status_code=400)


def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, SubmissionRefused)
    body = {
        "type": f"urn:towpath:problem:{error.kind}",
        "title": error.kind.replace("-", " "),
        "status": error.status,
        "detail": error.message,
    }
    headers = {"Retry-After": "1"} if error.status == 503 else None
    return JSONResponse(body, error.status, headers, media_type="application/problem+json")
