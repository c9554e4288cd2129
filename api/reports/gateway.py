"""The callback gateway: turns a runner's report into an event, over HTTP and NATS alike.

It authenticates the runner, validates the body and calls TaskReports; it makes no decisions. It must be fast,
because every step of every task passes here.
"""

from __future__ import annotations

from api.auth import RunnerKey, prove
from api.dependencies import ApiParts
from domain.actors import JOB_ACTOR
from domain.errors import Invalid, NotFound
from domain.identifiers import TaskId, check_task_id
from domain.log.capacity import check_capacity
from domain.log.events import Transport
from domain.ports.log import StoredTask
from domain.protocol import Ask
from domain.runners.attempt_token import Proof
from domain.runners.report_reader import read_said
from domain.runners.runner_key import is_key
from domain.services.task_reports import record_said

CONFLICTING_END = "conflicting-end"


async def accept_report(
    parts: ApiParts, task_id: TaskId, body: bytes, token: str | None, transport: Transport
) -> StoredTask:
    """Record a runner's report about `task_id`, or a job's question; a stale one returns the task unchanged.

    Raises:
        HttpProblem: 401, see `prove`.
        ValidationError: the body is not a report (type `json_invalid`: not JSON).
        DomainError: see `TaskReports.report`; nothing was recorded.
    """
    attempt = parts.job_tokens.check(task_id, token) if token is not None else None
    if attempt is not None and isinstance(asked := read_said(body), Ask):
        return await record_ask(parts, task_id, asked, attempt, JOB_ACTOR)
    return await record_report(parts, task_id, body, reporter(parts, task_id, token), transport)


def reporter(parts: ApiParts, task_id: TaskId, token: str | None) -> Proof | RunnerKey | None:
    """What the token of a report about `task_id` proves; needs no body. A key is still to be checked.

    Raises:
        HttpProblem: 401, see `prove`.
        Invalid: not a task id.
    """
    try:
        check_task_id(task_id)
    except ValueError as error:
        raise Invalid("bad-task-id", f"{error}; use the id that POST /tasks answered") from error
    if token is not None and is_key(token):
        return RunnerKey(token)
    return prove(parts, task_id, token)


async def record_report(
    parts: ApiParts, task_id: TaskId, body: bytes, proof: Proof | RunnerKey | None, transport: Transport
) -> StoredTask:
    """`accept_report` for a caller that is already authenticated, or has a key that is checked here."""
    said = read_said(body)
    if isinstance(proof, RunnerKey):
        try:
            pool = (await parts.commands.known(task_id)).spec.pool
        except NotFound:
            pool = ""
        proof.check(said.runner_id, pool)
        proof = None
    if isinstance(said, Ask):
        check_capacity(parts.capacity)
    return await record_said(parts.reports, task_id, said, proof, transport)


async def record_ask(
    parts: ApiParts, task_id: TaskId, ask: Ask, attempt: int | None, actor: str
) -> StoredTask:
    """Record a question, which is new work for a log that is full. Raises as `TaskReports.ask` does."""
    check_capacity(parts.capacity)
    return await parts.reports.ask(task_id, ask, attempt, actor)
