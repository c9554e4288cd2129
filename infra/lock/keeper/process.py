"""The keeper: claims, waits, lets guard and shim start the command, and reports its end.

It is in a process group of its own: Ctrl-C and Ctrl-Z reach the command, as without `lock`, and never stop
its heartbeats. It ends the command when the front is gone; guard and shim end it when the keeper is.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from domain.locks.nesting import AROUND, TASK, tasks_around
from infra.errors.exit_codes import Exit
from infra.lock.connection import Interrupted, Problem, Unanswered
from infra.lock.control_plane import ControlPlane
from infra.lock.endings import BUSY, SIGNALED, Ending, of_problem, of_silence
from infra.lock.front import GOES_ON, HARMLESS
from infra.lock.keeper.claim import REPORT_SECONDS, Claim
from infra.lock.keeper.end_report import end_of
from infra.lock.keeper.event_stream import EventStream
from infra.lock.keeper.heartbeats import Heartbeats
from infra.lock.keeper.specification import specification
from infra.lock.keeper.waiting_line import WaitingLine
from infra.lock.options import Options
from infra.lock.orphans import sweep
from infra.lock.stderr import tell
from infra.lock.terminal_job import TerminalJob
from runner.clock import boottime
from runner.isolation.process_traits import adopt_orphans, hide_memory
from runner.process.tree.refusals import WENT_ON, warning

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any, NoReturn

GRACE_SECONDS = 5.0
NOTICE = 5.0
"""SIGTERM comes a fifth of the lease before its end, SIGKILL at its end."""
FIRST_SECONDS = 1.0
AGAIN_SECONDS = 1.0
STOPPED_SECONDS = 0.2
LEAVE_SECONDS = 2.0
GO_ON_SECONDS = 0.05
JOB_TOKEN = "TOWPATH_JOB_TOKEN"  # noqa: S105 - a variable


class Keeper:
    """One claim, from its beginning to the end of the command."""

    def __init__(
        self, options: Options, control: ControlPlane, job: TerminalJob, front: int, say: int
    ) -> None:
        """`front`: a byte for each signal that the front got, and its end; `say`: what the front is told."""
        self._options = options
        self._control = control
        self._job = job
        self._front = front
        self._say = say
        self._front_pid = os.getppid()
        self._heart = Heartbeats(control)
        self._line = WaitingLine()
        self._refused = ""
        self._stopped = False
        """The command is stopped."""
        self._stops = 0
        """How often the front was told to stop, and has not said that it goes on."""

    def run(self) -> NoReturn:
        """Do all of it, and tell the front the exit code."""
        code: int = Exit.ERROR
        try:
            code = self._run()
        except Ending as ending:
            code = ending.code
            self._heart.leave()
            self._tell(str(ending))
        except Exception as error:  # an answer that is none of the API's, for example
            self._tell(f"{type(error).__name__}: {error}")
        finally:
            self._line.clear()
            self._heart.leave()
            self._heart.orders = None  # its number may be another file's soon
            self._job.give_up()
            self._heart.left(LEAVE_SECONDS)
            self._let_front_go_on()
            with suppress(OSError):
                os.write(self._say, b"X%d\n" % code)
            os._exit(0)

    def _run(self) -> int:
        try:
            self._heart.start()
            adopt_orphans()  # of a killed guard
            hide_memory()
            spec = specification(self._options, self._control)
            token = self._granted(spec)
        except Interrupted:
            got = os.read(self._front, 1)
            raise Ending(SIGNALED + (got[0] if got else signal.SIGKILL)) from None
        except Unanswered as error:
            raise of_silence(self._control.main.url, error) from None
        except Problem as problem:
            raise of_problem(problem) from None
        self._line.clear()
        self._control.main.interrupt = None
        heart = self._heart
        names = self._names(spec["workspace"], token)
        notice = heart.lease_seconds / NOTICE
        self._job.start(self._options.command, heart.deadline, notice, GRACE_SECONDS, **names)
        heart.orders = self._job.orders
        heart.tell(lease=heart.deadline)
        return self._reported(self._followed())

    def _names(self, workspace: str, token: int) -> dict[str, str]:
        """What the command finds in its environment, besides what the caller has there."""
        control, around = self._control, tasks_around(os.environ)
        os.environ.pop(JOB_TOKEN, None)  # of the job in which this runs
        return {
            **({AROUND: " ".join(around)} if around else {}),
            **({JOB_TOKEN: control.job_token} if control.job_token is not None else {}),
            **({"TOWPATH_URL": control.main.url} if self._options.url is not None else {}),
            TASK: control.task_id,
            "TOWPATH_ATTEMPT": "1",
            "TOWPATH_RUNNER_ID": control.runner_id,
            "TOWPATH_WORKSPACE": workspace,
            "TOWPATH_LOCK_TOKEN": str(token),
        }

    def _granted(self, spec: dict[str, Any]) -> int:
        """The fencing token, once the command may start; else the claim is withdrawn."""
        claim = Claim(self._control, self._heart, self._line, self._front, spec)
        try:
            token = claim.wait_for_token()
            self._job.prepare()  # while the start is being recorded
            claim.pass_start_gate()
            self._wait_while_stopped()
        except Exception:
            self._line.clear()
            self._heart.holds = not claim.withdraw()
            if self._heart.holds:
                self._tell("the claim could not be withdrawn: it ends by itself once its turn comes")
            raise
        return token

    def _wait_while_stopped(self) -> None:
        """Start nothing while Ctrl-Z has stopped the front. Raises Interrupted, Ending."""
        while self._front_is_stopped():
            if select.select([self._front], [], [], STOPPED_SECONDS)[0]:
                raise Interrupted
            if self._heart.unwanted or not self._heart.valid:
                raise Ending(
                    Exit.ERROR, "not started: the lock was lost, or canceled, while this was stopped"
                )

    def _front_is_stopped(self) -> bool:
        with suppress(OSError), open(f"/proc/{self._front_pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] == b"T"
        return False

    def _followed(self) -> dict[str, Any]:
        """What guard or shim says at the end; {} if neither could, and nothing is left."""
        heart, job = self._heart, self._job
        watched = [job.said, heart.wake, self._front]
        with EventStream(self._control, task_id=self._control.task_id) as events:
            while True:
                short = FIRST_SECONDS if not events.files and heart.valid else None
                if self._stops and not self._stopped:  # it may be about to stop: then SIGCONT came too early
                    self._continue_front()
                    short = GO_ON_SECONDS
                ready = select.select([*watched, *events.files], [], [], short)[0]
                if not ready:
                    events.open()  # a short command does not pay for it
                if set(events.files) & set(ready):
                    events.take()
                    heart.hurry()
                if self._front in ready:
                    self._hear_front(watched)
                if heart.wake in ready:
                    os.read(heart.wake, 4096)
                    if heart.unwanted:
                        heart.tell(stop="canceled", grace=GRACE_SECONDS)
                for said in job.messages() if job.said in ready else ():
                    if said.get("event") == "ended":
                        return said
                    if not said:
                        sweep()
                        return said
                    self._act_on(said)

    def _hear_front(self, watched: list[int]) -> None:
        got = self._from_front()
        for number in got or ():
            self._heart.tell(signal=number)
        if got is None:
            watched.remove(self._front)
            self._heart.tell(stop="stopped", grace=0)

    def _from_front(self) -> list[int] | None:
        """The signals that it has passed on; None at its end."""
        got = os.read(self._front, 64)
        self._stops = self._stops - got.count(GOES_ON) if got else 0
        return [number for number in got if number != GOES_ON] if got else None

    def _act_on(self, said: dict[str, Any]) -> None:
        match said["event"]:
            case "started":
                self._pass_on(b"S\n")
            case "stopped":
                self._stopped = True
                self._stops += 1
                self._pass_on(b"T%d\n" % said["signal"])
            case "refused":
                self._refused = said["message"]
                self._tell(warning(said["message"], said["why"]))
            case "continued":
                self._stopped = False

    def _let_front_go_on(self) -> None:
        """It may have stopped with the command, which was killed since."""
        until = boottime() + LEAVE_SECONDS
        while self._stops and boottime() < until:
            self._continue_front()
            if select.select([self._front], [], [], GO_ON_SECONDS)[0]:
                self._from_front()

    def _continue_front(self) -> None:
        if os.getppid() == self._front_pid:  # else it is gone, and its pid another's
            os.kill(self._front_pid, signal.SIGCONT)

    def _pass_on(self, what: bytes) -> None:
        with suppress(OSError):  # the front was killed
            os.write(self._say, what)

    def _reported(self, said: dict[str, Any]) -> int:
        """Report the end until it is answered, or the lease is over; then tell the user. The exit code."""
        end = end_of(said, self._refused)
        code, words = end.code, end.words
        if said.get("why") == "canceled" and self._lost_by_hand():
            killed = f"{self._refused}: {WENT_ON}" if self._refused else "the command was killed"
            words = f"the lock was released by hand while the command ran; {killed}"
            code = Exit.LOCK_LOST
        if words:
            self._pass_on(b"R\n")
        self._heart.holds = False  # the goodbye goes at the same time: what ends late, ends by its report
        self._heart.leave()
        self._send(end.fields)
        self._tell(words)
        return code

    def _send(self, fields: dict[str, Any]) -> None:
        said = False
        until = max(self._heart.deadline, boottime() + LEAVE_SECONDS)
        while True:
            left = max(until - boottime(), LEAVE_SECONDS)
            try:
                self._control.report(min(REPORT_SECONDS, left), **fields)
                return
            except Problem as problem:
                if problem.status not in BUSY:
                    self._tell(f"the end of the command was not recorded: {problem}")
                    return
            except Unanswered:
                pass
            if boottime() > until or self._told_to_end(AGAIN_SECONDS):
                self._tell("its end could not be reported: the lock comes back after lease and grace")
                return
            if not said:
                said = True
                self._tell("the command has ended; the control plane does not answer, trying again")

    def _told_to_end(self, seconds: float) -> bool:
        """Whether within `seconds` the front ends, or gets a signal that ends waits."""
        if not select.select([self._front], [], [], seconds)[0]:
            return False
        got = self._from_front()
        return got is None or any(number not in HARMLESS for number in got)

    def _lost_by_hand(self) -> bool:
        try:
            return bool(self._control.task()["lock"]["state"] != "held")
        except (Problem, Unanswered):
            return False

    def _tell(self, text: str) -> None:
        self._line.clear()
        if text:
            tell(text)
