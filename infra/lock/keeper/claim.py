"""Acquires the lock: records the claim, waits for its grant, and passes the start gate."""

from __future__ import annotations

import os
import select
import time

from domain.locks.nesting import Nesting, tasks_around
from infra.errors.exit_codes import Exit
from infra.lock.connection import Interrupted, Problem, Unanswered
from infra.lock.control_plane import ControlPlane
from infra.lock.endings import BUSY, Ending, of_problem
from infra.lock.keeper.event_stream import EventStream
from infra.lock.keeper.heartbeats import Heartbeats
from infra.lock.keeper.waiting_line import WaitingLine, held_by, sentence

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

FIRST_LOOK_SECONDS = 0.1
LONGEST_LOOK_SECONDS = 5.0
AGAIN_SECONDS = 1.0
CANCEL_SECONDS = 5.0
CANCEL_TRIES = 4
REPORT_SECONDS = 10.0
SILENT = "waits; the control plane does not answer at present"
CANCEL_REASON = "`towpath lock` was told to end"


class Claim:
    """A claim from its creation until the command may start, or until it is withdrawn."""

    def __init__(
        self,
        control: ControlPlane,
        heart: Heartbeats,
        line: WaitingLine,
        interrupt: int,
        spec: dict[str, Any],
    ) -> None:
        """`interrupt`: a file; once it can be read, every wait ends with Interrupted."""
        self._control = control
        self._heart = heart
        self._line = line
        self._interrupt = interrupt
        self._spec = spec
        self._nesting = Nesting(tasks_around(os.environ), control.blockers)
        self._refused = False

    def wait_for_token(self) -> int:
        """Claim and wait; the fencing token. Raises Ending, Interrupted, Unanswered, Problem."""
        try:
            task = self._control.claim(self._spec)
        except Problem as problem:
            self._refused = problem.status < 500  # else it may have been made
            if problem.code == "workspace-locked":
                raise self._locked(problem) from None
            raise of_problem(problem) from None
        self._heart.holds = True
        self._heart.hurry()
        pause = FIRST_LOOK_SECONDS
        with EventStream(self._control, workspace=self._spec["workspace"]) as events:
            while (task["status"], task["lock"]["state"]) != ("dispatched", "held"):
                if task["status"] != "dispatched":
                    raise self._not_granted(task)
                task = self._looked(task, events, pause)
                pause = min(2 * pause, LONGEST_LOOK_SECONDS)
        token: int = task["lock"]["token"]
        return token

    def pass_start_gate(self) -> None:
        """The start gate: report `running` until the log has it, and wait for a lease.

        The first heartbeat and the report are under way at the same time. Either order is safe: a heartbeat
        whose answer wants the attempt was stored while it was open, so it is not lost before the lease ends.
        Raises like `wait_for_token`.
        """
        while not self._is_recorded():
            self._pause()
        while not self._heart.valid:
            refusal = self._heart.refusal
            if refusal is not None and refusal.status not in BUSY:
                raise refusal
            self._pause()
        if self._heart.unwanted:
            raise Ending(Exit.ERROR, "not started: the lock was lost, or canceled")

    def _is_recorded(self) -> bool:
        """Report `running`; whether the log has it. Raises Ending."""
        control = self._control
        try:
            task = control.report(REPORT_SECONDS, status="running")
        except Problem as problem:
            if problem.code != "not-granted" and problem.status not in BUSY:
                raise Ending(Exit.ERROR, f"not started: {problem}") from None
            return False
        except Unanswered:
            self._line.show(SILENT)
            return False
        ours = (task["status"], task["attempt"], task["runner_id"]) == ("running", 1, control.runner_id)
        if not ours or task["cancel_requested"]:
            raise Ending(Exit.ERROR, f"not started: the task is {task['status']}")
        return True

    def withdraw(self) -> bool:
        """Take the claim out of the queue; whether nothing is left of it."""
        if self._refused:
            return True
        control = self._control
        control.main.close()
        control.main.interrupt = None
        for left in reversed(range(CANCEL_TRIES)):
            try:
                task = control.cancel(CANCEL_REASON, CANCEL_SECONDS)
                if task["status"] in ("queued", "running"):  # its start was recorded just before
                    control.report(CANCEL_SECONDS, status="canceled", message="its command was not started")
                return True
            except Problem as problem:
                if problem.status == 409:  # it has ended
                    return True
            except Unanswered:
                pass
            if left:
                time.sleep(AGAIN_SECONDS / 4)  # a create may be under way still
        return False

    def _looked(self, task: dict[str, Any], events: EventStream, pause: float) -> dict[str, Any]:
        """The task, after something may have changed; shows what it waits for."""
        try:
            if task["lock"]["state"] == "waiting":
                why = self._control.why()
                self._check_nesting([one["task_id"] for one in why["blocked_by"]])
                if why["stage"] == "waits-for-lock":
                    self._line.show(sentence(task, why))
            events.wait(pause, self._interrupt)
            if select.select([self._interrupt], [], [], 0)[0]:
                raise Interrupted
            return self._control.task()
        except Unanswered:
            self._line.show(SILENT)
        except Problem as problem:
            if problem.status not in BUSY:
                raise
        self._pause()
        return task

    def _check_nesting(self, blocked_by: list[str]) -> None:
        outer = self._nesting.waits_for(blocked_by)
        if outer is not None:
            behind = "" if outer in blocked_by else ", behind others,"
            raise Ending(
                Exit.CONFLICT,
                f"this would wait{behind} for the lock under which it runs itself (task {outer}), and so "
                "without end",
            )

    def _locked(self, problem: Problem) -> Ending:
        [holder, *others] = problem.body["holders"]
        task = self._control.task(holder["task_id"])
        holder |= {"runner_id": task["runner_id"], "since": task["lock"]["since"]}
        return Ending(Exit.CONFLICT, held_by(self._spec, holder, task["title"], len(others)))

    def _not_granted(self, task: dict[str, Any]) -> Ending:
        reason = task["reason"]
        if reason == "lock-wait-timeout":
            waited = self._spec["lock_wait_seconds"]
            return Ending(Exit.TIMED_OUT, f"the lock was not granted within {waited:g} s")
        code = Exit.CONFLICT if reason in ("workspace-locked", "workspace-changed") else Exit.ERROR
        return Ending(code, f"the lock was not granted: {task['message'] or reason or task['status']}")

    def _pause(self) -> None:
        ready = select.select([self._interrupt, self._heart.wake], [], [], AGAIN_SECONDS)[0]
        if self._interrupt in ready:
            raise Interrupted
        if self._heart.wake in ready:
            os.read(self._heart.wake, 4096)
