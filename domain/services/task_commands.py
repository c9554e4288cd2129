"""Operators' commands: create, dispatch, cancel, and release an attempt's lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.context.log_context import be_about_task
from domain.errors import Busy, Invalid, LogFull, NotFound, Refused, refused
from domain.identifiers import LOG_START, FencingToken, LogSeq, TaskId, WorkspaceId
from domain.locks.claim_capacity import ClaimCapacity, Reservation
from domain.locks.claims import FIRST_CHAIN
from domain.log.capacity import AmpleCapacity, LogCapacity, check_capacity
from domain.log.events import CreatedData
from domain.ports.dispatch import EnvCipher
from domain.ports.lock_view import LockView
from domain.ports.log import AppendConflict, Clock, StoredTask, TaskStore
from domain.runners.runner_key import takes_itself
from domain.services.task_changes import MAX_TRIES, TaskChanges, too_busy
from domain.task.aggregate import Task
from domain.task.spec import TaskSpec
from domain.task.transitions import Status
from domain.workspaces.paths import normalise_lock_paths
from domain.workspaces.registry import Registration, not_registered


@dataclass(frozen=True, slots=True)
class Release:
    """A release by an operator. `process_may_run`: a process may still be writing; no `paths`: all of it."""

    attempt: int
    token: FencingToken
    process_may_run: bool
    paths: list[str]


class TaskCommands(TaskChanges):
    """Operators' commands; each is decided for the attempt that was current when it arrived."""

    def __init__(
        self,
        tasks: TaskStore,
        clock: Clock,
        locks: LockView,
        cipher: EnvCipher,
        capacity: LogCapacity | None = None,
        claim_capacity: ClaimCapacity | None = None,
    ) -> None:
        """`capacity` bounds new tasks and attempts by the log's limits; without it there is no bound."""
        super().__init__(tasks, clock)
        self._claim_capacity = claim_capacity or ClaimCapacity(locks)
        self._capacity = capacity or AmpleCapacity()
        self._locks = locks
        self._cipher = cipher

    async def create(self, task_id: TaskId, spec: TaskSpec, actor: str) -> tuple[StoredTask, bool]:
        """Create a task; idempotent for the same id with the same content.

        Returns the task and whether this call created it.

        Raises:
            Refused: the id exists with other content (`id-taken`).
            NotFound: the workspace is not registered.
            Invalid: a lock path leaves the workspace.
            LogFull: the log has no room for new tasks.
        """
        be_about_task(task_id)
        data = await self._created_data(task_id, spec)
        async with self._tasks.exclusive(task_id):
            try:
                check_capacity(self._capacity)
            except LogFull:
                if await self._tasks.load(task_id) is None:
                    raise
            task = Task.create(task_id, data, at=self._clock(), actor=actor)
            try:
                return await self._append(StoredTask(task, LOG_START, FIRST_CHAIN, fresh=True)), True
            except AppendConflict:
                existing = await self._tasks.load(task_id)
        if existing is None:
            raise Busy("busy", "the log did not settle whether this task exists; send the same request again")
        if not self._same_content(task_id, existing.task.spec, data, spec):
            raise Refused("id-taken", "a task with this id and other content exists; choose another id")
        return existing, False

    async def read_at(self, task_id: TaskId, seq: LogSeq) -> StoredTask:
        """The task after `seq`. NotFound if it did not exist then."""
        stored = await self._tasks.load_at(task_id, seq)
        if stored is None:
            raise NotFound("no-such-task", f"there was no task {task_id} at sequence {seq}")
        return stored

    async def dispatch(
        self, task_id: TaskId, actor: str, *, first: bool = False, attempt: int | None = None
    ) -> StoredTask:
        """Begin the next attempt. LogFull if the log has no room; `workspace-full` if the workspace has none.

        A first attempt is decided on this process's cached task: the compare-and-set rejects it if that is
        out of date. `first`: begin only a first attempt; refused (`stale-attempt`) if the task is further on.
        `attempt`: the one that the caller saw; refused (`changed`) if another is current.
        """
        check_capacity(self._capacity)
        if attempt is not None:
            known = (await self.read(task_id)).task
            with _changed_if_stale(known.attempt, attempt):
                return await self._dispatch(known, actor)
        async with self._tasks.exclusive(task_id):
            known = (await self._load(task_id)).task
        if first or known.attempt == 0:
            try:
                return await self._dispatch(known, actor, first)
            except Refused as refusal:
                if first or refusal.code != "stale-attempt":
                    raise
        return await self._dispatch((await self.read(task_id)).task, actor)

    async def retry(self, task_id: TaskId, attempt: int, actor: str) -> None:
        """Begin the attempt after `attempt`; nothing if it was begun, or does not follow by itself any more.

        Raises:
            Busy: the workspace has no room for another claim now.
            LogFull: the log has no room.
        """
        check_capacity(self._capacity)
        known = (await self.read(task_id, attempt=attempt)).task
        if known.attempt != attempt or known.next_attempt_at is None:
            return
        try:
            await self._dispatch(known, actor, retry=True)
        except NotFound as error:
            await self._give_up(task_id, attempt, error.detail, actor)
        except Refused as refusal:
            if refusal.code == "workspace-full":
                raise Busy(refusal.code, refusal.detail) from refusal
            if refusal.code != "stale-attempt":
                raise

    async def _give_up(self, task_id: TaskId, attempt: int, reason: str, actor: str) -> None:
        """End the retries of a task whose next attempt could not begin, unless another one has begun."""
        with contextlib.suppress(Refused):
            await self._change(
                task_id, lambda task, at: task.cancel(reason=reason, at=at, actor=actor), about=attempt
            )

    async def _dispatch(
        self, known: Task, actor: str, first: bool = False, retry: bool = False
    ) -> StoredTask:
        attempt = 0 if first else known.attempt  # read before any await: the cached task is shared
        registration: Registration | None = None
        reservation: Reservation | None = None

        def decide(task: Task, at: datetime) -> None:
            if first and task.ended:
                raise refused("stale-attempt", attempt=task.attempt)
            if task.ended and takes_itself(task.spec.pool):
                raise Refused(
                    "claim-ended",
                    f"task {task.id} was a claim of `towpath lock`, which has ended, and no runner takes "
                    "another attempt of it: run `towpath lock` again",
                )
            begin = task.retry if retry else task.dispatch
            begin(registration, at=at, actor=actor)
            if reservation is not None:
                reservation.check()

        workspace = known.spec.workspace
        if workspace is None:
            return await self._change(known.id, decide, about=attempt)
        registration = await self._registration(workspace)
        with self._claim_capacity.reserve(workspace, known.spec.lock_paths) as reserved:
            reservation = reserved
            stored = await self._change(known.id, decide, about=attempt)
            reserved.seq = stored.seq
            return stored

    async def cancel(
        self, task_id: TaskId, reason: str | None, actor: str, *, attempt: int | None = None
    ) -> StoredTask:
        """Cancel at once, or ask the runner to; idempotent.

        `attempt`: as in `dispatch`; without it also an attempt that a retry begins meanwhile is canceled.
        """
        current = (await self.read(task_id)).task.attempt

        def decide(task: Task, at: datetime) -> None:
            if task.attempt != current and (attempt is not None or not task.begun_by_retry):
                raise refused("stale-attempt", attempt=task.attempt)
            task.cancel(reason=reason, at=at, actor=actor)

        with _changed_if_stale(current, attempt):
            return await self._change(task_id, decide)

    async def answer(
        self, task_id: TaskId, question_id: str, choice: str | None, text: str | None, actor: str
    ) -> StoredTask:
        """Answer a question of the task. Raises as `Task.answer` does."""
        return await self._change(
            task_id,
            lambda task, at: task.answer(question_id, choice, text, at=at, actor=actor),
        )

    async def release_locks(
        self, task_id: TaskId, reason: str, actor: str, *, token: FencingToken | None = None
    ) -> Release | None:
        """Release the grant of the current attempt; None if it holds none, and nothing is recorded.

        `token`: that of the grant that the caller saw; refused (`changed`) if it is not held now.
        """
        stored = await self.read(task_id)
        attempt, workspace = stored.task.attempt, stored.task.spec.workspace
        held = None
        if workspace is not None and attempt > 0:
            held = await self._locks.holding(task_id, attempt, workspace)
        if token is not None and held != token:
            raise refused("changed", attempt=attempt, token=held)
        return await self._release(stored, held, reason, actor) if held is not None else None

    async def _release(self, stored: StoredTask, token: FencingToken, reason: str, actor: str) -> Release:
        task_id, attempt = stored.task.id, stored.task.attempt
        may_run = False
        for _ in range(MAX_TRIES):

            def request(task: Task, at: datetime) -> None:
                nonlocal may_run
                may_run = task.is_open(attempt, Status.QUEUED, Status.RUNNING)
                task.request_release(attempt, token, reason=reason, at=at, actor=actor)

            if not (await self._change(task_id, request)).recorded:
                return Release(attempt, token, may_run, stored.task.spec.lock_paths)
        raise too_busy()

    async def _registration(self, workspace: WorkspaceId) -> Registration:
        registration = await self._locks.registration(workspace)
        if registration is None:
            raise not_registered(workspace)
        return registration

    async def _created_data(self, task_id: TaskId, spec: TaskSpec) -> CreatedData:
        lock_paths: list[str] = []
        if spec.workspace is not None:
            lock_paths = await self._lock_paths(spec.workspace, spec.lock_paths)
        return CreatedData(
            title=spec.shown_title,
            command=list(spec.command),
            execution_mode=spec.execution_mode,
            workspace=spec.workspace,
            lock_paths=lock_paths,
            lock_mode=spec.lock_mode,
            on_conflict=spec.on_conflict,
            pool=spec.pool,
            env=self._cipher.encrypt(task_id, dict(spec.env)) if spec.env else {},
            secrets=self._cipher.encrypt(task_id, dict(spec.secrets)) if spec.secrets else {},
            timeout_seconds=spec.timeout_seconds,
            timeout_pauses=spec.timeout_pauses,
            labels=dict(spec.labels),
            lock_wait_seconds=spec.lock_wait_seconds,
            retry=spec.retry.policy if spec.retry is not None else None,
        )

    async def _lock_paths(self, workspace: WorkspaceId, paths: Sequence[str]) -> list[str]:
        """The claim's normalised paths. The local fold may accept them; only a linearizable read refuses."""
        seen = self._locks.seen_registration(workspace)
        if seen is not None:
            with contextlib.suppress(Invalid):
                return normalise_lock_paths(paths, seen.root)
        return normalise_lock_paths(paths, (await self._registration(workspace)).root)

    def _same_content(self, task_id: TaskId, stored: CreatedData, asked: CreatedData, spec: TaskSpec) -> bool:
        """Compare two task contents. Env values are compared decrypted, since encryption is randomised."""
        bare: dict[str, dict[str, str]] = {"env": {}, "secrets": {}}
        if stored.model_copy(update=bare) != asked.model_copy(update=bare):
            return False
        pairs = ((stored.env, spec.env), (stored.secrets, spec.secrets))
        return all(
            (self._cipher.decrypt(task_id, encrypted) if encrypted else {}) == dict(given)
            for encrypted, given in pairs
        )


@contextlib.contextmanager
def _changed_if_stale(current: int, seen: int | None) -> Iterator[None]:
    """With `seen`, the attempt that the caller decided about, another current one is refused as `changed`."""
    if seen is not None and seen != current:
        raise refused("changed", attempt=current)
    try:
        yield
    except Refused as refusal:
        if seen is None or refusal.code != "stale-attempt":
            raise
        raise refused("changed", **refusal.extra) from None
