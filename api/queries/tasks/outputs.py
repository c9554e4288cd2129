"""Ranges of an attempt's output, from the runner that keeps it.

A long poll asks the runner again and again for at most SLICE_SECONDS, so that a client that leaves, a runner
that dies and an attempt that ends are noticed soon. Before a runner has the attempt, its output is empty: a
long poll is then woken by this process's fold of the log, once a runner has taken the attempt.
"""

from __future__ import annotations

import asyncio
from typing import Any

from api.dependencies import ApiParts
from api.queries.tasks.attempts import AttemptFacts, attempt_facts, current_facts
from domain.errors import Busy, NotFound
from domain.identifiers import TaskId
from domain.lifecycle.asyncio_tasks import wait_at_most
from domain.ports.outputs import OutputNotThere, OutputPlace, RunnerAway
from domain.runners.output_range import GONE, OutputRange, RangeRequest
from domain.runners.runner_key import takes_itself

SLICE_SECONDS = 5.0
UNTAKEN_SECONDS = 1.0
"""How often an attempt that no runner has is looked at, should the fold be behind."""
NOTHING_YET = OutputRange(b"", 0, 0, complete=False)


async def output_range(
    parts: ApiParts,
    task_id: TaskId,
    attempt: int | None,
    asked: dict[str, Any],
    *,
    slice_seconds: float = SLICE_SECONDS,
    untaken_seconds: float = UNTAKEN_SECONDS,
) -> tuple[AttemptFacts, OutputRange]:
    """The range `asked` for (`offset`, `limit`, `wait`), and the attempt that it is of.

    Raises:
        NotFound: no such task or attempt; `output-gone` if nothing is kept of its output.
        Busy: `runner-away` if its runner does not answer, with the output's tail if the attempt has ended.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + asked["wait"]
    while True:
        facts = await _taken_facts(parts, task_id, attempt)
        if facts is None:
            facts = await _awaited_facts(parts, task_id, attempt, end, untaken_seconds)
        if takes_itself(facts.pool):
            raise _gone(facts, "never-kept", "its command wrote to where the lock was taken")
        if _is_untaken(facts):
            return facts, NOTHING_YET
        left = max(0.0, end - clock())
        found = await _ask(parts, task_id, facts, {**asked, "wait": min(left, slice_seconds)})
        if found.data or found.complete or clock() >= end:
            return facts, found


async def _awaited_facts(
    parts: ApiParts, task_id: TaskId, attempt: int | None, end: float, look_seconds: float
) -> AttemptFacts:
    """The attempt once a runner has taken it, it has ended, or the loop's clock shows `end`."""
    clock = asyncio.get_running_loop().time
    facts = await _facts(parts, task_id, attempt)
    while _is_waited_for(facts) and clock() < end:
        number = facts.number
        with parts.view.listening(task_id, number or 1) as heard:
            facts = await _facts(parts, task_id, attempt)  # it may have been taken before this listened
            while _is_waited_for(facts) and facts.number == number and (left := end - clock()) > 0:
                await wait_at_most(heard, min(left, look_seconds))
                heard.clear()
                facts = await _facts(parts, task_id, attempt)
    return facts


def _is_untaken(facts: AttemptFacts) -> bool:
    return not (facts.taken or facts.ended)


def _is_waited_for(facts: AttemptFacts) -> bool:
    return _is_untaken(facts) and not takes_itself(facts.pool)


async def _facts(parts: ApiParts, task_id: TaskId, attempt: int | None) -> AttemptFacts:
    return await attempt_facts(parts, await parts.commands.read(task_id), attempt)


async def _taken_facts(parts: ApiParts, task_id: TaskId, attempt: int | None) -> AttemptFacts | None:
    """What is known here of an attempt that a runner has taken: it stays that runner's, so the leader need
    not be asked for each range.
    """
    if attempt is None:
        return None
    facts = current_facts(await parts.commands.known(task_id))
    return facts if facts.taken and facts.number == attempt else None


async def _ask(parts: ApiParts, task_id: TaskId, facts: AttemptFacts, asked: dict[str, Any]) -> OutputRange:
    if not facts.taken:
        raise _gone(facts, "never-kept", "no runner has taken it")
    request = RangeRequest(task_id=task_id, attempt=facts.number, instance=facts.instance, **asked)
    try:
        return await parts.outputs.read(OutputPlace(facts.pool, facts.runner_id), request)
    except (OutputNotThere, RunnerAway) as error:
        raise _unread(await _facts(parts, task_id, facts.number), error) from None


def _unread(facts: AttemptFacts, error: OutputNotThere | RunnerAway) -> NotFound | Busy:
    """Why there is no range of an attempt that a runner has taken."""
    if isinstance(error, RunnerAway):
        return _away(facts, str(error))
    if error.never:
        return _gone(facts, "never-kept", "its runner keeps no outputs")
    if not facts.ended:
        return _away(facts, "its runner does not know the attempt (yet, or any more)")
    if facts.started:
        return _gone(facts, "deleted", "its runner has deleted it")
    return _gone(facts, "never-kept", "it never started")


def _gone(facts: AttemptFacts, kept: str, why: str) -> NotFound:
    tail = "; `output_tail` is what its end says" if facts.output_tail else ""
    words = f"nothing is kept of the output of attempt {facts.number}: {why}{tail}"
    return NotFound(GONE, words, {**_end(facts), "kept": kept})


def _away(facts: AttemptFacts, why: str) -> Busy:
    known = "`output_tail` is what its end says" if facts.ended else "send the same request again"
    return Busy("runner-away", f"{why}; {known}", _end(facts))


def _end(facts: AttemptFacts) -> dict[str, Any]:
    return {
        "attempt": facts.number,
        "runner_id": facts.runner_id,
        "ended": facts.ended,
        "output_tail": facts.output_tail,
    }
