"""Process manager `watchdog`: ends attempts that no runner took or whose runner is lost.

Every attempt has one timer (`attempt_timer`), so the watchdog neither polls nor keeps state. An attempt that
has ended when its timer fires costs one read; one whose runner is alive and lists it costs a read of that
heartbeat. A workspace's policy comes from a fold of the whole log, since the valid registration depends on
claims, too.

Delivery: each timer is handled at least once, by any of the watchdogs, and acknowledged when its result is
recorded in the log or the next check is armed. A crash in between causes a redelivery; checks are idempotent.
The end of an attempt is decided on linearizable reads only, with times of the broker's clock.

A lost `towpath lock` leaves the list of runners with its attempt, also where it was killed while it
waited: its id comes back no more.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from domain.errors import NotFound, Refused
from domain.identifiers import RunnerId
from domain.ports.lock_view import RegistrationView
from domain.ports.queues import Due, Timers
from domain.ports.runners import Heartbeats
from domain.protocol import rfc3339
from domain.runners.liveness import LeaseTerms, Liveness, Sighting, Verdict, Watched, judge
from domain.runners.runner_key import takes_itself
from domain.services.task_findings import TaskFindings
from domain.task.aggregate import Task
from domain.task.transitions import Status
from projections.attempt_timer import Note, parse_note

ACTOR = "watchdog"
FRESH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Watchdog:
    """One watchdog; any number may run."""

    def __init__(
        self,
        tasks: TaskFindings,
        heartbeats: Heartbeats,
        registrations: RegistrationView,
        timers: Timers,
        terms: LeaseTerms,
    ) -> None:
        self._tasks = tasks
        self._heartbeats = heartbeats
        self._registrations = registrations
        self._timers = timers
        self._terms = terms

    async def handle(self, due: Due) -> None:
        """Check the attempt whose timer fired: end it, arm the next check, or do nothing if it has ended."""
        note = parse_note(due.note)
        # the common case, without a read of the task
        if await self._still_held(due, note):
            return
        task = (await self._tasks.read(due.deadline.task_id, attempt=due.deadline.attempt)).task
        attempt = due.deadline.attempt
        if task.is_open(attempt, Status.DISPATCHED):
            await self._untaken(due, note, task)
        elif task.is_open(attempt, Status.QUEUED, Status.RUNNING):
            await self._taken(due, note, task)
        else:
            await self._forget(due, note.runner_id or _own_runner(task))

    # ------------------------------------------------------------------ no runner has it

    async def _untaken(self, due: Due, note: Note, task: Task) -> None:
        """Record `submit-failed` once the deadline for taking the attempt is over."""
        if note.submit_by is not None and due.at < note.submit_by:
            await self._timers.arm(due.deadline, note.submit_by, due.note)
            return
        task_id, attempt, pool = task.id, due.deadline.attempt, task.spec.pool
        served = any(
            pool in beat.pools and self._terms.state(at, due.at) == "alive"
            for beat, at in await self._heartbeats.all()
        )
        if takes_itself(pool):
            text = f"{pool} did not start it in time: its `towpath lock` was stopped or killed"
            await self._tasks.submit_failed(task_id, attempt, "deadline", text, ACTOR)
        elif served:
            text = f"no runner of pool {pool} took it in time; they may all be busy"
            await self._tasks.submit_failed(task_id, attempt, "deadline", text, ACTOR)
        else:
            text = f"pool {pool} has no live runner; start one with `towpath runner --pool {pool}`"
            await self._tasks.submit_failed(task_id, attempt, "no-runner", text, ACTOR)

    # ------------------------------------------------------------------ a runner has it

    async def _still_held(self, due: Due, note: Note) -> bool:
        """Whether the heartbeat of the known runner suffices: it is recent and lists the attempt."""
        if note.runner_id is None or note.bound_at is None:
            return False
        key = due.deadline
        watched = Watched(key.task_id, key.attempt, note.runner_id, note.bound_at, note.instance)
        beat = await self._heartbeats.last(note.runner_id, FRESH_SECONDS, note.instance)
        verdict = judge(watched, beat, note.sighting, due.at, self._terms)
        if verdict.finding is not Liveness.HOLDS:
            return False
        await self._look_again(due, watched, verdict)
        return True

    async def _taken(self, due: Due, note: Note, task: Task) -> None:
        runner_id, instance = task.runner_id, task.instance
        if (note.runner_id, note.instance) != (runner_id, instance):
            # bound to another runner since: what was seen of the former one tells nothing
            note = Note()
        bound_at = note.bound_at or _bound_at(task)
        watched = Watched(task.id, due.deadline.attempt, runner_id, bound_at, instance)
        beat = await self._heartbeats.last(runner_id, instance=instance) if runner_id is not None else None
        seen = note.sighting
        complete = beat is not None or seen is None or await self._heartbeats.complete(seen.at)
        verdict = judge(watched, beat, seen, due.at, self._terms, complete=complete)
        if verdict.finding is Liveness.LOST and await self._keeps_lock(task):
            await self._look_again(due, watched, verdict, kept=True)
            if not note.kept:
                log.warning(
                    "runner lost, its lock is kept for an operator: `towpath release` frees it",
                    runner_id=watched.runner_id,
                    workspace=task.spec.workspace,
                )
        elif verdict.finding in (Liveness.LOST, Liveness.FORGOTTEN):
            await self._end(due, watched, verdict)
        else:
            await self._look_again(due, watched, verdict)

    async def _keeps_lock(self, task: Task) -> bool:
        """Whether the workspace's policy leaves the lock to an operator, who has not released it yet."""
        if task.spec.workspace is None or task.release_requested:
            return False
        registration = await self._registrations.registration(task.spec.workspace)
        return registration is not None and registration.on_runner_lost == "hold"

    async def _end(self, due: Due, watched: Watched, verdict: Verdict) -> None:
        assert verdict.sighting is not None
        message = _words(watched, verdict.finding, verdict.sighting, self._terms)
        stored = await self._tasks.runner_lost(watched.task_id, watched.attempt, message, ACTOR)
        if stored.recorded:
            log.warning(
                "attempt ended: " + message,
                task=watched.task_id,
                attempt=watched.attempt,
                sequence=stored.seq,
            )
        await self._forget(due, watched.runner_id)

    async def _forget(self, due: Due, runner_id: RunnerId | None) -> None:
        """Remove the heartbeats of a runner of one attempt, which has ended, once it is lost."""

        async def holds_nothing() -> None:
            pass

        if runner_id is None or not takes_itself(runner_id):
            return
        try:
            await self._heartbeats.forget(runner_id, self._terms, holds_nothing)
        except NotFound:
            return  # it has left in order
        except Refused:  # it may still leave in order
            look_at = due.at + self._terms.lost_after
            await self._timers.arm(due.deadline, look_at, Note(runner_id=runner_id).encoded())

    async def _look_again(self, due: Due, watched: Watched, verdict: Verdict, *, kept: bool = False) -> None:
        seen = verdict.sighting
        note = Note(
            runner_id=watched.runner_id,
            instance=watched.instance,
            bound_at=watched.bound_at,
            counter=seen.counter if seen else None,
            stored_at=seen.at if seen else None,
            kept=kept,
        )
        await self._timers.arm(due.deadline, verdict.look_at, note.encoded())


def _own_runner(task: Task) -> RunnerId | None:
    """The runner that the task was made for, if it is for one alone."""
    return RunnerId(task.spec.pool) if takes_itself(task.spec.pool) else None


def _bound_at(task: Task) -> datetime:
    """When the attempt was bound at the latest. `started_at` is not used: it is from the runner's clock."""
    return task.queued_at or task.modified_on


def _words(watched: Watched, finding: Liveness, seen: Sighting, terms: LeaseTerms) -> str:
    last = f"its last heartbeat was stored at {rfc3339(seen.at)}"
    if finding is Liveness.FORGOTTEN:
        return f"runner {watched.runner_id} does not list this attempt any more; {last}"
    seconds = terms.lost_after.total_seconds()
    return f"runner {watched.runner_id} was not heard of for more than {seconds:g} seconds; {last}"
