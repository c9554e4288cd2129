"""Facts about one attempt of a task: the current one, or an earlier one from the log."""

from __future__ import annotations

from dataclasses import dataclass, replace

from api.dependencies import ApiParts
from api.queries.event_pages import lagging
from domain.errors import NotFound
from domain.identifiers import LOG_START, RunnerId
from domain.log.filter import EventFilter
from domain.log.record import Recorded
from domain.ports.log import StoredTask
from domain.task.aggregate import Task
from domain.task.transitions import TERMINAL


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """Attempt `number`; 0 if the task has none yet. `pool`: where it was sent; `taken`: a runner has it."""

    number: int
    pool: str
    runner_id: RunnerId | None = None
    instance: str | None = None
    taken: bool = False
    started: bool = False
    ended: bool = False
    output_tail: str | None = None


async def attempt_facts(parts: ApiParts, stored: StoredTask, number: int | None) -> AttemptFacts:
    """The attempt, by default the current one.

    Raises:
        NotFound: the task has had no such attempt.
        Busy: a replica of the log lags behind.
    """
    task = stored.task
    if number is None or number == task.attempt:
        return current_facts(task)
    if number > task.attempt:
        have = {0: "no attempt yet", 1: "one attempt"}.get(task.attempt, f"attempts 1 to {task.attempt}")
        raise NotFound("no-such-attempt", f"the task has {have}; leave `attempt` out for the current one")
    events = await parts.log.page(LOG_START, task.version, EventFilter("task", task.id))
    if len(events) < task.version:
        raise lagging()
    facts = AttemptFacts(number, task.spec.pool)
    for event in events:
        if event.attempt == number:
            facts = _with(facts, event)
    return facts


def current_facts(task: Task) -> AttemptFacts:
    """The current attempt."""
    return AttemptFacts(
        task.attempt,
        task.dispatched.pool if task.dispatched is not None else task.spec.pool,
        task.runner_id,
        task.instance,
        task.queued_at is not None or task.started_at is not None,
        task.started_at is not None,
        task.ended and task.attempt > 0,
        task.output_tail,
    )


def _with(facts: AttemptFacts, event: Recorded) -> AttemptFacts:
    data = event.data
    return replace(
        facts,
        pool=data.get("pool") or facts.pool,
        runner_id=data.get("runner_id") or facts.runner_id,
        instance=data.get("instance") or facts.instance,
        taken=facts.taken or event.event in ("queued", "running"),
        started=facts.started or event.event == "running",
        ended=facts.ended or event.event in TERMINAL,
        output_tail=data.get("output_tail") or facts.output_tail,
    )
