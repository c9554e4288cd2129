"""The task aggregate: one command with attempts 1, 2, …; it enforces the transitions.

Each command method looks up the transition table and triggers at most one event. A stale input triggers
none; a refused one raises `Refused`. Time, actors and grants come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from eventsourcing.domain import BaseAggregate

from domain.errors import NotFound, Refused, refused
from domain.identifiers import FencingToken, RunnerId, TaskId
from domain.log import events as data
from domain.protocol import Ask, Report
from domain.task import event_data, retries
from domain.task.current_attempt import check_attempt
from domain.task.events import TASK_EVENTS, Created, TaskEvent
from domain.task.question import MOST_QUESTIONS, Question
from domain.task.transitions import TERMINAL, Input, Refuse, Stale, Status, look_up
from domain.workspaces.registry import Registration

LOCK_WAIT_TIMEOUT = "lock-wait-timeout"
"""The reason of `canceled` when an attempt was not granted its lock within `lock_wait_seconds`."""


class GrantKnowledge(Enum):
    """Whether the current attempt holds a grant, as far as the caller knows; HELD if it needs none."""

    HELD = "held"
    NOT_HELD = "not-held"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, held: bool) -> GrantKnowledge:
        """The answer of a look-up."""
        return cls.HELD if held else cls.NOT_HELD


class Task(BaseAggregate[str]):
    """State of one task, folded from its events. `attempt` is 0 until the first dispatch."""

    TOPIC: ClassVar[str] = "towpath.task"

    class Event(TaskEvent):
        TOPIC: ClassVar[str] = "towpath.task.event"

    if TYPE_CHECKING:
        id: TaskId  # the library itself takes only str and UUID
    spec: data.CreatedData

    def __init__(self) -> None:
        self.status = Status.CREATED
        self.attempt = 0
        self.dispatched: data.DispatchedData | None = None
        self.dispatched_at: datetime | None = None
        self.questions: tuple[Question, ...] = ()
        self._clear_attempt()

    def _clear_attempt(self) -> None:
        self.queued_at: datetime | None = None
        self.started_at: datetime | None = None
        self.finished_at: datetime | None = None
        self.exit_code: int | None = None
        self.message: str | None = None
        self.reason: str | None = None
        self.runner_id: RunnerId | None = None
        self.instance: str | None = None
        self.output_tail: str | None = None
        self.cancel_requested = False
        self.release_requested = False

    def begin_attempt(self, dispatched: data.DispatchedData, at: datetime) -> None:
        """Assign a new attempt; only the `dispatched` event calls this."""
        self.status = Status.DISPATCHED
        self.attempt = dispatched.attempt
        self.dispatched = dispatched
        self.dispatched_at = at
        self._clear_attempt()

    # ------------------------------------------------------------------ state

    @property
    def ended(self) -> bool:
        """Whether the current attempt (or the task before its first one) has ended."""
        return self.status in TERMINAL

    @property
    def needs_lock(self) -> bool:
        """Whether an attempt works in a shared workspace."""
        return self.spec.execution_mode == "shared-workspace"

    @property
    def next_attempt_at(self) -> datetime | None:
        """When the next attempt begins by itself; None if it does not."""
        policy = self.spec.retry
        if policy is None or self.dispatched is None:
            return None
        stopped = self.cancel_requested or self.release_requested
        hold = self.dispatched.on_runner_lost == "hold"
        if not retries.retried(policy, self.status, self.attempt, self.reason, stopped=stopped, hold=hold):
            return None
        return retries.next_at(policy, self.id, self.attempt, self.modified_on)  # the end is its last event

    @property
    def begun_by_retry(self) -> bool:
        """Whether the current attempt was begun automatically."""
        return self.dispatched is not None and self.dispatched.by == retries.ACTOR

    def is_open(self, attempt: int, *statuses: Status) -> bool:
        """Whether `attempt` is the current one and in one of `statuses`."""
        return self.attempt == attempt and self.status in statuses

    def is_wanted(self, attempt: int, runner_id: RunnerId, instance: str | None = None) -> bool:
        """Whether this runner may go on with `attempt`: no other runner has it, and no end was requested."""
        return (
            self.is_open(attempt, Status.DISPATCHED, Status.QUEUED, Status.RUNNING)
            and not (self.cancel_requested or self.release_requested)
            and self.runner_id in (None, runner_id)
            and (self.instance is None or instance in (None, self.instance))
        )

    @property
    def open_question(self) -> Question | None:
        """What the current attempt waits to be told; None where it is not waiting for an answer."""
        last = self.questions[-1] if self.questions else None
        if last is None or last.answer is not None or not self.is_open(last.asked.attempt, Status.RUNNING):
            return None
        return None if self.cancel_requested or self.release_requested else last

    def question(self, question_id: str) -> Question:
        """One of the task's questions, of whatever attempt; NotFound where it has none of this id."""
        found = self._known_question(question_id)
        if found is None:
            raise NotFound("no-such-question", "the task has no question with this id")
        return found

    def _known_question(self, question_id: str) -> Question | None:
        return next((one for one in self.questions if one.asked.question_id == question_id), None)

    # ------------------------------------------------------------------ operators' commands

    @classmethod
    def create(cls, task_id: TaskId, spec: data.CreatedData, *, at: datetime, actor: str) -> Task:
        """A new task; its `created` event is pending."""
        return cls._create(Created, id=task_id, timestamp=at, actor=actor, data=spec)

    def dispatch(self, registration: Registration | None, *, at: datetime, actor: str) -> None:
        """Begin the next attempt, pinned to the workspace's registration (None without a workspace)."""
        self._decide(
            Input.DISPATCH,
            lambda: data.DispatchedData(
                attempt=self.attempt + 1,
                pool=self.spec.pool,
                workspace=self.spec.workspace,
                root=registration.root if registration else None,
                registration_seq=registration.seq if registration else None,
                lock_paths=self.spec.lock_paths,
                lock_mode=self.spec.lock_mode,
                on_conflict=self.spec.on_conflict,
                by=actor,
                lock_wait_seconds=self.spec.lock_wait_seconds,
                on_runner_lost="hold" if self._keeps_lock(registration) else None,
            ),
            at=at,
            actor=actor,
        )

    def _keeps_lock(self, registration: Registration | None) -> bool:
        """Whether a lost runner's lock is kept, which only matters to retries."""
        return (
            self.spec.retry is not None and registration is not None and registration.on_runner_lost == "hold"
        )

    def retry(self, registration: Registration | None, *, at: datetime, actor: str) -> None:
        """Begin the next attempt, if it still follows by itself; refused (`stale-attempt`) otherwise."""
        if self.next_attempt_at is None:
            raise refused("stale-attempt", attempt=self.attempt)
        self.dispatch(registration, at=at, actor=actor)

    def cancel(self, *, reason: str | None, at: datetime, actor: str) -> None:
        """Cancel at once if no process can have started, else ask the runner to; a repeat is stale.

        Between two attempts it ends the retries: the attempt that has ended keeps its end.
        """
        between = self.spec.retry is not None and self.status in (Status.FAILED, Status.SUBMIT_FAILED)
        if self.cancel_requested and (not self.ended or between):
            return
        if self.next_attempt_at is not None:
            self._decide(
                Input.STOP_RETRIES,
                lambda: data.CancelRequestedData(attempt=self.attempt, by=actor, reason=reason),
                at=at,
                actor=actor,
            )
            return

        def said() -> data.EventData:
            if self.status in (Status.CREATED, Status.DISPATCHED):
                return event_data.of_cancel(self, actor, reason, at)
            return data.CancelRequestedData(attempt=self.attempt, by=actor, reason=reason)

        self._decide(Input.CANCEL, said, at=at, actor=actor)

    def request_release(
        self, attempt: int, token: FencingToken, *, reason: str, at: datetime, actor: str
    ) -> None:
        """Free the grant `token` of `attempt` on an operator's request.

        Each call triggers at most one event; call it until it triggers none. In status `dispatched` it
        cancels the attempt; later it first requests the cancel, then records the release request. In this
        order a crash between the two never frees a lock whose process was not asked to stop.
        """
        if attempt != self.attempt or self.release_requested:
            return
        if self.status in (Status.QUEUED, Status.RUNNING) and not self.cancel_requested:
            self.cancel(reason=reason, at=at, actor=actor)
            return
        if self.status is Status.DISPATCHED:
            self._decide(
                Input.RELEASE, lambda: event_data.of_cancel(self, actor, reason, at), at=at, actor=actor
            )
            return
        self._decide(
            Input.RELEASE,
            lambda: data.LockReleaseRequestedData(attempt=attempt, token=token, by=actor, reason=reason),
            at=at,
            actor=actor,
        )

    # ------------------------------------------------------------------ questions

    def ask(self, ask: Ask, *, at: datetime, actor: str) -> None:
        """Ask a person; the same question again is stale.

        Raises:
            Refused: older, unknown or foreign attempt, not running or asked to stop, another question is
            open.
        """
        check_attempt(self, ask)
        asked = data.AskedData(
            attempt=self.attempt,
            question_id=ask.question_id,
            text=ask.text,
            choices=ask.choices,
            free_text=ask.free_text,
            expires_at=ask.expiry(at),
            default=ask.default,
            runner_id=ask.runner_id or self.runner_id,
        )
        known = self._known_question(ask.question_id)
        if known is None:
            self._decide(Input.ASK, lambda: self._may_ask(asked), at=at, actor=actor)
        elif not known.same_as(asked):
            raise Refused("id-taken", "the task has another question with this id; choose another id")

    def _may_ask(self, asked: data.AskedData) -> data.AskedData:
        self._refuse_stopping()
        if self.open_question is not None:
            raise refused("question-open", question_id=self.open_question.asked.question_id)
        if len(self.questions) >= MOST_QUESTIONS:
            raise refused("too-many-questions", most=MOST_QUESTIONS)
        return asked

    def answer(
        self, question_id: str, choice: str | None, text: str | None, *, at: datetime, actor: str
    ) -> None:
        """Answer a question, once; the same answer by the same actor again is stale.

        Raises:
            NotFound: the task has no such question.
            Invalid: this is no answer to it.
            Refused: it was answered, its attempt has ended or was asked to stop.
        """
        question = self.question(question_id)
        question.check_answer(choice, text)
        answered = data.AnsweredData(
            attempt=question.asked.attempt,
            question_id=question_id,
            choice=choice,
            text=text,
            by=actor,
            cause="person",
        )
        if question.answer is not None:
            if question.answer != answered:
                raise question.refuse_answer()
            return
        if question.asked.attempt != self.attempt:
            raise refused("ended", attempt=self.attempt)

        def first() -> data.AnsweredData:
            self._refuse_stopping()
            return answered

        self._decide(Input.ANSWER, first, at=at, actor=actor)

    def question_expired(self, attempt: int, *, at: datetime, actor: str) -> None:
        """Answer the open question of `attempt` with its default, if it has one and its time is over."""
        question = self.open_question
        if question is None or question.asked.attempt != attempt or not question.expired(at):
            return
        answer = question.default_answer(actor)
        if answer is not None:
            self._decide(Input.ANSWER, lambda: answer, at=at, actor=actor)

    def _refuse_stopping(self) -> None:
        """Nothing begins in an attempt that was asked to stop."""
        if self.release_requested:
            raise refused("lock-release-requested", attempt=self.attempt)
        if self.cancel_requested:
            raise refused("cancel-requested", attempt=self.attempt)

    # ------------------------------------------------------------------ the control plane's findings

    def submit_failed(
        self, attempt: int, reason: data.SubmitFailedReason, message: str | None, *, at: datetime, actor: str
    ) -> None:
        """Record that `attempt` reached no runner; no effect once it is queued, has ended or was replaced."""
        if self.is_open(attempt, Status.DISPATCHED):
            self._decide(
                Input.SUBMIT_FAILED,
                lambda: data.SubmitFailedData(attempt=attempt, reason=reason, message=message),
                at=at,
                actor=actor,
            )

    def lock_wait_over(self, attempt: int, message: str, *, at: datetime, actor: str) -> None:
        """Cancel an attempt that has waited too long for its lock; no effect once it is past `dispatched`."""
        if self.is_open(attempt, Status.DISPATCHED):
            self._decide(
                Input.CANCEL,
                lambda: event_data.of_cancel(self, actor, LOCK_WAIT_TIMEOUT, at, message),
                at=at,
                actor=actor,
            )

    def runner_lost(self, attempt: int, message: str, *, at: datetime, actor: str) -> None:
        """Record that the bound runner is lost; only an open `queued` or `running` attempt changes.

        If a cancel was requested, the attempt ends `canceled`, since the runner can no longer confirm it.
        After a release request it ends `failed`.
        """
        if not self.is_open(attempt, Status.QUEUED, Status.RUNNING):
            return
        if self.cancel_requested and not self.release_requested:
            canceled = event_data.of_cancel(self, actor, "runner-lost", at)
            told = {"runner_id": self.runner_id, "message": message}
            self._decide(Input.CANCELED, lambda: canceled.model_copy(update=told), at=at, actor=actor)
            return
        lost = Report(status="failed", reason="runner-lost", message=message, attempt=attempt)
        self._decide(Input.FAILED, lambda: event_data.of_end(self, lost, at), at=at, actor=actor)

    # ------------------------------------------------------------------ runners' reports

    def report(
        self, report: Report, *, grant: GrantKnowledge, transport: data.Transport, at: datetime, actor: str
    ) -> bool:
        """Record a runner's report, if the table and the attempt allow it.

        Returns True if the report is decided, False if the decision needs a grant that is UNKNOWN. An attempt
        past `dispatched` was granted, so its reports need no look-up.

        Raises:
            Refused: the attempt is older, unknown, another runner's, not granted, ended, or ended otherwise.
        """
        check_attempt(self, report)
        given = Input(report.status)
        cell = look_up(self.status, given)
        if isinstance(cell, Refuse):
            raise refused(cell.code, status=self.status.value, attempt=self.attempt)
        if isinstance(cell, Stale):
            return True
        if grant is GrantKnowledge.UNKNOWN and self.needs_lock and self.status is Status.DISPATCHED:
            return False
        if grant is GrantKnowledge.NOT_HELD:
            raise refused("not-granted", attempt=self.attempt)
        if given is Input.RUNNING:
            self._refuse_stopping()
        self._decide(
            given, lambda: event_data.of_report(self, given, report, transport, at), at=at, actor=actor
        )
        return True

    # ------------------------------------------------------------------ the table decides

    def _decide(self, given: Input, make: Callable[[], data.EventData], *, at: datetime, actor: str) -> None:
        cell = look_up(self.status, given)
        if isinstance(cell, Refuse):
            raise refused(cell.code, status=self.status.value, attempt=self.attempt)
        if isinstance(cell, Stale):
            return
        self.trigger_event(TASK_EVENTS[cell.event], timestamp=at, actor=actor, data=make())
