"""A chaos run in memory: Towpath's own domain decides; history and log come out as a real run leaves them.

`plant` names the bug to build in, one of PLANTS or `beside` (a job that outlives its lock). Without one,
whatever the checker says is a false alarm.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from uuid_utils.compat import uuid7

from domain.errors import Refused
from domain.locks.claims import LockFact
from domain.locks.lock_facts import grant_fact
from domain.locks.table import LockTable
from domain.log.events import CreatedData
from domain.protocol import Ask, Report
from domain.task.aggregate import GrantKnowledge, Task
from domain.workspaces.registry import Registration
from tests.chaos.history import Json, pid_of, words_of
from tests.unit.tests.chaos.small_record import RUNNERS, START, SmallRecord

PLANTS = (
    "plain-append",
    "release-on-cancel-requested",
    "lost-outbox-row",
    "skipping-fold",
    "granting-twice",
)
PATHS = ([], ["src"], ["src/api"], ["src2"], ["docs", "src/web"])
RETRY = {"max_attempts": 3, "backoff_seconds": 2.0, "on": ["exit"]}


class SmallRun(SmallRecord):
    """`history` and `log` are complete after `play`. `more`: also retries and questions."""

    def __init__(self, seed: int, plant: str | None = None, *, more: bool = False) -> None:
        super().__init__(plant)
        self._more = more
        self._random = random.Random(seed)
        self._held: dict[tuple[str, int], str] = {}
        self._alive: set[tuple[str, int]] = set()
        self._lost: tuple[str, int] | None = None

    def play(self, steps: int = 60) -> SmallRun:
        """Random operations, then everything comes to its end."""
        for _ in range(steps):
            self._step()
            if self._random.random() < 0.8:
                self._decide()
        if self._plant is not None:
            self._provoke()
        self._wind_up()
        self._settle()
        return self

    # ------------------------------------------------------------------ what happens

    def _step(self) -> None:
        choice = self._random.random()
        open_tasks = [task_id for task_id, task in self._tasks.items() if task.status != "succeeded"]
        if choice < 0.25 or not open_tasks:
            self.create(self._random.choice([None, "shop", "shop", "farm"]), self._random.choice(PATHS))
            return
        task_id = self._random.choice(open_tasks)
        task = self._tasks[task_id]
        if self._more and self._random.random() < 0.5 and self._extra(task):
            return
        if choice < 0.45:
            self.operate("dispatch", task_id)
        elif choice < 0.52:
            self.operate("cancel", task_id)
        elif choice < 0.55 and self._grant(task):
            self.operate("release", task_id)
        else:
            self.report(task_id, self._random.choice(["queued", "running", "running", "succeeded", "failed"]))

    def _extra(self, task: Task) -> bool:
        """A retry that is due, a question, or an answer; whether one was possible."""
        if task.next_attempt_at is not None:
            self.retry(task)
        elif task.open_question is not None:
            self.answer(task)
        elif task.status == "running" and not (task.cancel_requested or task.release_requested):
            self.ask(task)
        else:
            return False
        return True

    def retry(self, task: Task) -> None:
        """The attempt that follows by itself, once it is due."""
        assert task.next_attempt_at is not None
        self._clock = max(self._clock, (task.next_attempt_at - START).total_seconds())
        workspace = task.spec.workspace
        root = Registration(workspace, f"/w/{workspace}", "fail", 1, 1) if workspace else None
        task.retry(root, at=self._now(), actor="retry")
        self._record(task.id)

    def ask(self, task: Task) -> None:
        """The job asks; half of the questions have a default."""
        op = self._invoke("ask", task.id, attempt=task.attempt)
        over = {"expires_seconds": 1.0, "default": "no"} if self._random.random() < 0.5 else {}
        asked = Ask(
            question_id=f"q{op}", text=words_of(op), choices=["no"], free_text=True,
            attempt=task.attempt, **over,
        )  # fmt: skip
        self._do(op, task.id, lambda: task.ask(asked, at=self._now(), actor="job"))

    def answer(self, task: Task) -> None:
        """By a person, or by its time."""
        question = task.open_question
        assert question is not None
        expires = question.asked.expires_at
        if expires is not None and self._random.random() < 0.5:
            self._clock = max(self._clock, (expires - START).total_seconds())
            task.question_expired(task.attempt, at=self._now(), actor="timer")
            self._record(task.id)
            return
        op = self._invoke("answer", task.id)
        self._do(
            op,
            task.id,
            lambda: task.answer(question.asked.question_id, None, words_of(op), at=self._now(), actor="ann"),
        )

    def create(self, workspace: str | None, paths: list[str], mode: str | None = None) -> str:
        """A new task; its id."""
        task_id, op = str(uuid7()), self._invoke("create", "", workspace=workspace)
        self.history[-1]["task"] = task_id
        spec = CreatedData.model_validate(
            {
                "title": "t", "command": ["true"], "workspace": workspace, "lock_paths": paths,
                "execution_mode": "shared-workspace" if workspace else "no-workspace",
                "lock_mode": mode or self._random.choice(["exclusive", "exclusive", "shared"]),
                "on_conflict": "wait", "pool": "p", "env": {}, "timeout_seconds": None,
                "labels": {"op": str(op)}, "retry": RETRY if self._more else None,
            }
        )  # fmt: skip
        self._tasks[task_id] = Task.create(task_id, spec, at=self._now(), actor="ann")
        self._record(task_id)
        self._answer(op, task_id)
        return task_id

    def operate(self, do: str, task_id: str) -> None:
        """dispatch, cancel or release by hand."""
        task, op = self._tasks[task_id], self._invoke(do, task_id)
        attempt, said = task.attempt, words_of(op)
        workspace = task.spec.workspace

        def decide() -> None:
            if do == "dispatch":
                root = Registration(workspace, f"/w/{workspace}", "fail", 1, 1) if workspace else None
                task.dispatch(root, at=self._now(), actor="ann")
            elif do == "cancel":
                task.cancel(reason=said, at=self._now(), actor="ann")
            else:
                grant = self._grant(task)
                for _ in range(2):
                    task.request_release(attempt, grant.token, reason=said, at=self._now(), actor="ann")
                    self._record(task_id)

        self._do(op, task_id, decide)

    def report(self, task_id: str, status: str, runner: str | None = None) -> bool:
        """A runner's report of the current attempt; whether it was taken."""
        task = self._tasks[task_id]
        key = (task_id, task.attempt)
        runner = runner or self._held.get(key) or self._random.choice(RUNNERS)
        op = self._invoke("report", task_id, status=status, attempt=task.attempt or None, by="http")
        fields: Json = {"message": words_of(op)} if status in ("succeeded", "failed", "canceled") else {}
        if status == "failed":
            fields["reason"] = "exit"
        report = Report(
            status=status, attempt=task.attempt or None, runner_id=runner,
            pid=pid_of(op) if status == "running" else None, **fields,
        )  # fmt: skip
        grant = GrantKnowledge.of(not task.needs_lock or key in self._granted)
        recorded = len(self._events)
        if key in self._alive:
            self._mark("tick", key)
        taken = self._do(
            op,
            task_id,
            lambda: task.report(
                report, grant=grant, transport="http", at=self._now(), actor=f"runner:{runner}"
            ),
        )
        if taken and status in ("queued", "running"):
            self._held.setdefault(key, runner)
        started = len(self._events) > recorded and status == "running"
        if started and task.needs_lock:
            self._alive.add(key)
            self._mark("begin", key)
        elif task.ended or task.release_requested:
            self._alive.discard(key)
        return taken

    def _do(self, op: int, task_id: str, decide: Callable[[], None]) -> bool:
        try:
            decide()
        except Refused as error:
            self._line("fail", op=op, http=409, code=error.code)
            return False
        self._record(task_id)
        if self._random.random() < 0.9:
            self._answer(op, task_id)
        else:
            self._line("unknown", op=op, why="no answer")
        return True

    def _decide(self) -> None:
        for workspace in ("shop", "farm"):
            while fact := self._table.decide(workspace):
                self._append_lock(fact)

    def _wind_up(self) -> None:
        self._decide()
        for _ in range(200):
            open_tasks = [one for one in self._tasks.values() if not one.ended or one.next_attempt_at]
            if not open_tasks:
                return
            for task in open_tasks:
                lost = self._plant == "lost-outbox-row" and (task.id, task.attempt) == self._lost
                if task.next_attempt_at is not None:
                    self.retry(task)
                elif task.status == "created":
                    self.operate("cancel", task.id)
                elif not lost and (not task.needs_lock or (task.id, task.attempt) in self._granted):
                    self.report(task.id, "canceled" if task.cancel_requested else "succeeded")
                self._decide()

    # ------------------------------------------------------------------ bugs

    def _provoke(self) -> None:
        """Bring about a moment in which the planted bug shows."""
        self._wind_up()
        one = self.create("shop", ["src"], "exclusive")
        self._tasks[one].dispatch(Registration("shop", "/w/shop", "fail", 1, 1), at=self._now(), actor="ann")
        self._record(one)
        other = self.create("shop", ["src/api"], "exclusive")
        if self._plant == "plain-append":
            self._plain_append(one)
            return
        self.operate("dispatch", other)
        if self._plant == "granting-twice":
            self._append_lock(self._forced_grant(other))
        self._decide()
        if self._plant == "beside":
            self.report(one, "running", "r1")
            self.report(one, "succeeded", "r1")
            self._decide()
            self.report(other, "running", "r2")
            self._mark("tick", (one, 1))
            return
        self.report(one, "queued", "r1")
        self.report(one, "running", "r1")
        if self._plant == "lost-outbox-row":
            self._lost = (one, 1)
            self._line("held", runner="r1", task=one, attempt=1, outcome="succeeded")
        self.operate("cancel", one)
        self._decide()

    def _plain_append(self, task_id: str) -> None:
        """Two reports decided on the same task, both stored: no compare-and-set stood between."""
        self._decide()
        expected = self._events[-1]
        self.report(task_id, "running", "r1")
        assert self._events[-1] is not expected
        twin = self._tasks[task_id]
        version = self._events[-1].version
        op = self._invoke("report", task_id, status="failed", attempt=1, by="http")
        report = Report(status="failed", attempt=1, runner_id="r1", message=words_of(op))
        twin.report(report, grant=GrantKnowledge.HELD, transport="http", at=self._now(), actor="r1")
        self._record(task_id, version=version)
        self._answer(op, task_id)

    def _forced_grant(self, task_id: str) -> LockFact:
        """What a projector says that has not folded the other's grant."""
        blind = LockTable()
        for event in self._events:
            if event.kind == "lock" and event.event == "granted":
                continue
            blind.fold(event)
        self._decide()
        workspace = self._table._workspaces["shop"]
        fact = next(f for f in _decisions(blind) if f.data.task_id == task_id)
        return LockFact(
            "shop", "granted", fact.data, workspace.last_seq, workspace.last_version + 1, workspace.last_chain
        )


def _decisions(table: LockTable) -> Iterator[LockFact]:
    for workspace in table.workspaces():
        locks = table._workspaces[workspace]
        for claim in locks.waiting.values():
            yield grant_fact(locks, claim, table.seq)
