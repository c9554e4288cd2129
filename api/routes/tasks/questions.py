"""Questions of running jobs: ask, wait for the answer, answer.

A job asks with its job token; operators answer. Asking again with the same `question_id`, and the same
answer by the same caller, change nothing: so each request may be repeated after a lost response.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, model_validator

from api.auth import (
    RUNNER_SCHEME,
    Actor,
    CheckedRoute,
    GuardedRoute,
    Parts,
    job_attempt,
    needs,
    prove,
)
from api.config import Role
from api.reports.gateway import record_ask
from api.schema.openapi import problems
from api.streaming.questions import WAIT_SECONDS, awaited_question, question_now
from domain.actors import JOB_ACTOR
from domain.errors import refused
from domain.identifiers import CheckedTaskId, Name
from domain.protocol import RUNNER_AUTH_HEADER, Ask, AskBody, Choice, QuestionText
from domain.task.pauses import Pauses, pauses_of
from domain.task.question import QuestionStateRead

router = APIRouter(route_class=GuardedRoute, tags=["tasks"])


class AnswerBody(BaseModel):
    """One of the question's choices, or a text where it takes one."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"choice": "yes"}],
            "oneOf": [
                {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
                for one, other in (("choice", "text"), ("text", "choice"))
            ],
        },
    )

    choice: Choice | None = None
    text: QuestionText | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.choice is None) == (self.text is None):
            raise ValueError("send `choice` or `text`")
        return self


class _AskRoute(CheckedRoute):
    """Notes the attempt that the token proves; None where it proves none and needs none."""

    def check(self, request: Request) -> None:
        parts = request.app.state.parts
        attempt = job_attempt(parts, request)
        request.state.by_job = attempt is not None
        if attempt is None:
            task_id, token = request.path_params["task_id"], request.headers.get(RUNNER_AUTH_HEADER)
            proof = prove(parts, task_id, token)
            attempt = proof.attempt if proof is not None else None
        request.state.attempt = attempt


asking = APIRouter(route_class=_AskRoute, tags=["runners"])


@asking.post(
    "/runner/tasks/{task_id}/questions",
    status_code=201,
    response_model=QuestionStateRead,
    openapi_extra={"security": [{RUNNER_SCHEME: []}, {}]},
    responses={
        200: {"model": QuestionStateRead, "description": "the same question again: as it is by now"},
        **problems(400, 404, 409, 413, 415, 503, 507),
    },
)
async def ask(
    task_id: CheckedTaskId, body: AskBody, request: Request, response: Response, parts: Parts
) -> Any:
    """Ask a person, from a running attempt; `question_id` makes it safe to send again."""
    question_id = body.question_id or parts.new_task_id()
    asked = Ask(**{**dict(body), "question_id": question_id})
    by_runner = f"runner:{asked.runner_id}" if asked.runner_id else "runner"
    actor = JOB_ACTOR if request.state.by_job else by_runner
    stored = await record_ask(parts, task_id, asked, request.state.attempt, actor)
    if not stored.recorded:
        response.status_code = 200
    return question_now(parts, stored, question_id)


@asking.get(
    "/runner/tasks/{task_id}/pauses",
    response_model=Pauses,
    openapi_extra={"security": [{RUNNER_SCHEME: []}, {}]},
    responses=problems(401, 404, 409, 503),
)
async def get_pauses(task_id: CheckedTaskId, request: Request, parts: Parts) -> Any:
    """How long questions of an attempt were open, for a runner that enforces a timeout with `timeout_pauses`.

    About the token's attempt; with API_RUNNER_CALLBACK_TOKEN or no token, about the current one.
    """
    task = (await parts.commands.read(task_id)).task
    if task.attempt == 0:
        raise refused("not-dispatched", status=task.status.value)
    return pauses_of(task, request.state.attempt or task.attempt)


@router.get(
    "/tasks/{task_id}/questions/{question_id}",
    response_model=QuestionStateRead,
    openapi_extra=needs(Role.VIEWER, job=True),
    responses=problems(404, 503),
)
async def get_question(
    request: Request,
    task_id: CheckedTaskId,
    question_id: Name,
    parts: Parts,
    wait: Annotated[
        float, Query(ge=0, le=WAIT_SECONDS, description="seconds to wait for an answer, at most")
    ] = 0,
) -> Any:
    """A question and its answer. With `wait` it answers as soon as the question is no longer open."""
    streams, closing = request.app.state.streams, request.app.state.closing
    return await awaited_question(parts, task_id, question_id, wait, streams, closing)


@router.post(
    "/tasks/{task_id}/questions/{question_id}/answer",
    response_model=QuestionStateRead,
    openapi_extra=needs(Role.OPERATOR),
    responses=problems(400, 404, 409, 413, 415, 503, 507),
)
async def answer_question(
    task_id: CheckedTaskId, question_id: Name, body: AnswerBody, parts: Parts, actor: Actor
) -> Any:
    """Answer a question. The first answer stands: a second one gets 409 with whose it is, and which."""
    stored = await parts.commands.answer(task_id, question_id, body.choice, body.text, actor)
    return question_now(parts, stored, question_id)
