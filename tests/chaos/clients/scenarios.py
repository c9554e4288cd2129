"""What the clients of a run want: many short tasks that a reporter of ours plays, and real jobs that contend.

Chosen by a seed. A reporter is a runner without processes: it holds attempts, beats as its contract says, and
reports, sometimes twice, late, out of order or about an attempt that was replaced. Real jobs are left to
Towpath's runners; clients only cancel, release or dispatch some of them again.
"""

from __future__ import annotations

import asyncio
import random
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uuid_utils.compat import uuid7

from tests.chaos.clients.operators import ENDED, UNREGISTERED, Answer, Operators
from tests.chaos.clients.reporters import Reporters
from tests.chaos.history import Json

JOB = Path(__file__).with_name("job.py")
PATHS = ([], ["src"], ["src/api"], ["src/web"], ["src2"], ["docs"], ["docs", "src/api"], ["tests/unit"])
REPORTED_POOL = "reported"
WAIT_SECONDS = 1.0
MOVE_SECONDS = 1.0
MOVERS = 4


@dataclass(frozen=True)
class Ground:
    """Where tasks may work: workspaces and their roots; pools that Towpath's runners serve."""

    workspaces: dict[str, Path]
    pools: tuple[str, ...]


class Scenarios:
    """`run` goes on until `stop` is set, then lets everything that was begun come to its end."""

    def __init__(self, operators: Operators, reporters: Reporters, ground: Ground, seed: int) -> None:
        self._operators, self._reporters, self._ground = operators, reporters, ground
        self._random = random.Random(seed)
        self._aside: set[asyncio.Task[None]] = set()
        self.tasks = self.jobs = 0
        self.errors: list[str] = []
        self.stop = asyncio.Event()

    async def run(self, clients: int, per_second: float, job_share: float) -> None:
        """`clients` at once, together at most `per_second` new tasks."""
        room = asyncio.Semaphore(clients)
        while not self.stop.is_set():
            if room.locked():
                await asyncio.sleep(0.05)
                continue
            await room.acquire()
            job = self._random.random() < job_share
            self._begin(self._job() if job else self._reported(), room)
            await asyncio.sleep(self._random.uniform(0.5, 1.5) / per_second)

    async def move(self) -> None:
        """Several at once, so that they race with each other as well as with dispatches."""
        await asyncio.gather(*(self._move() for _ in range(MOVERS)))

    async def _move(self) -> None:
        """Until `stop`, change workspaces while they are used: move, overlap, narrow, remove, other policy.

        Much of it an operator should not do: it must be refused, or be void.
        """
        rng, ops, homes = self._random, self._operators, self._ground.workspaces
        while not self.stop.is_set():
            await asyncio.sleep(rng.expovariate(1 / MOVE_SECONDS))
            name, other = rng.sample(list(homes), 2)
            home = homes[name]
            roots = [
                home,
                home.with_name(f"{name}-moved"),
                home / "src",
                homes[other],
                homes[other] / "src",
                home.parent,
            ]
            if rng.random() < 0.15:
                await ops.remove(name)
            else:
                root = rng.choices(roots, [8, 3, 2, 2, 1, 1])[0]
                await ops.move(name, str(root), rng.choice(["fail", "fail", "hold"]))

    async def finish(self, seconds: float) -> list[str]:
        """Wait until all that was begun has ended; where those are that did not."""
        if self._aside:
            await asyncio.wait(self._aside, timeout=seconds)
        left = [_where(task) for task in self._aside]
        for task in self._aside:
            task.cancel()
        await asyncio.gather(*self._aside, return_exceptions=True)
        return left

    def _begin(self, scenario: Coroutine[Any, Any, None], room: asyncio.Semaphore) -> None:
        task = asyncio.create_task(scenario)

        def over(_: object) -> None:
            self._aside.discard(task)
            room.release()
            if not task.cancelled() and task.exception() is not None:
                self.errors.append("".join(traceback.format_exception(task.exception())))

        self._aside.add(task)
        task.add_done_callback(over)

    # ------------------------------------------------------------------ reported tasks

    async def _reported(self) -> None:
        rng, ops = self._random, self._operators
        spec: Json = {"title": "reported", "command": ["true"], "pool": REPORTED_POOL}
        if rng.random() < 0.15:
            spec |= self._claim()
            spec["on_conflict"] = "reject" if rng.random() < 0.3 else "wait"
            if spec["on_conflict"] == "wait" and rng.random() < 0.5:
                spec["lock_wait_seconds"] = rng.choice([2, 5, 10])
        who, task = "client", str(uuid7())
        self.tasks += 1
        at_once = rng.random() < 0.75
        answer = await ops.create(who, task, spec, at_once)
        if answer.outcome == "fail":
            await self._end_undispatched(who, task, answer)
            return
        if not at_once:
            if rng.random() < 0.5:
                await self._until_definite(ops.cancel, who, task)
                return
            await self._until_dispatched(who, task)
            if (await ops.look(task))["attempt"] == 0:  # its workspace is gone meanwhile
                await self._until_definite(ops.cancel, who, task)
                return
        await self._attempts(who, task, answer.task if at_once and not answer.code else None)

    async def _attempts(self, who: str, task: str, read: Json | None) -> None:
        rng, ops = self._random, self._operators
        for attempt in range(1, 4):
            read = read or await ops.look(task)
            if read["attempt"] != attempt:
                return
            if read["status"] not in ENDED:
                await self._play(who, task, attempt, read)
            if attempt == 3 or rng.random() > 0.2:
                return
            read = await ops.look(task)
            if read["status"] not in ENDED or read["status"] == "succeeded":
                return
            await self._until_dispatched(who, task)
            if rng.random() < 0.5:  # a zombie of the attempt before
                await ops.report(who, task, attempt, rng.choice(["running", "succeeded"]), None)
            read = None

    async def _play(self, who: str, task: str, attempt: int, read: Json) -> None:
        """One attempt, as a runner would report it."""
        rng, ops = self._random, self._operators
        async with self._reporters.holding(task, attempt) as runner:
            if rng.random() < 0.05:
                await self._until_definite(ops.cancel, who, task)
            if not await self._granted(task, attempt, read):
                return
            if rng.random() < 0.3:
                await ops.report_until_answered(who, task, attempt, "queued", runner)
            started = await ops.report_until_answered(who, task, attempt, "running", runner)
            if started.outcome == "fail":
                if started.code in ("cancel-requested", "lock-release-requested"):
                    await ops.report_until_answered(who, task, attempt, "canceled", runner)
                return
            await asyncio.sleep(rng.expovariate(10))
            if rng.random() < 0.15:
                await self._asks(who, task, attempt, runner)
            if rng.random() < 0.04:
                await ops.cancel(who, task)
            await self._ending(who, task, attempt, runner)

    async def _asks(self, who: str, task: str, attempt: int, runner: str | None) -> None:
        """A question that two people answer at once, or whose time may be over before they do."""
        rng, ops = self._random, self._operators
        expires = rng.choice([None, 0.2, 1.0])
        question = await ops.ask(who, task, attempt, runner, expires)
        await asyncio.sleep(rng.choice([0, 0.2, 1.0]))
        people = ("ann", "bob") if rng.random() < 0.7 else ()
        await asyncio.gather(*(ops.answer(name, task, question) for name in people))

    async def _ending(self, who: str, task: str, attempt: int, runner: str | None) -> None:
        rng, ops = self._random, self._operators
        status = rng.choices(["succeeded", "failed", "canceled"], [8, 3, 1])[0]
        if rng.random() < 0.15:
            await ops.report_until_answered(who, task, attempt, status, runner, by="nats")
            while (read := await ops.look(task))["attempt"] == attempt and read["status"] not in ENDED:
                await asyncio.sleep(WAIT_SECONDS)
        else:
            await ops.report_until_answered(who, task, attempt, status, runner)
        if rng.random() < 0.1:
            late = rng.choice([status, "running", "queued", "succeeded", "failed"])
            await ops.report(who, task, attempt, late, runner)

    async def _granted(self, task: str, attempt: int, read: Json) -> bool:
        """Whether the attempt may be reported on; it may also have ended while it waited."""
        while True:
            if read["attempt"] != attempt or read["status"] in ENDED:
                return False
            if read["workspace"] is None or read["lock"]["state"] in ("held", "released"):
                return True
            await asyncio.sleep(WAIT_SECONDS)
            read = await self._operators.look(task)

    # ------------------------------------------------------------------ real jobs

    async def _job(self) -> None:
        rng, ops, who = self._random, self._operators, "client"
        claim, task = self._claim(), str(uuid7())
        marks = self._ground.workspaces[claim["workspace"]] / "marks.jsonl"
        kind = rng.choices(["plain", "family", "stubborn", "fail"], [6, 2, 1, 1])[0]
        seconds = rng.choice([0.05, 0.1, 0.2, 0.4, 0.8, 1.5] + ([3.0] if kind == "stubborn" else []))
        spec: Json = {
            "title": f"job {kind}",
            "command": [sys.executable, "-I", "-S", str(JOB), str(marks), kind, str(seconds)],
            "pool": rng.choice(self._ground.pools),
            **claim,
        }
        if rng.random() < 0.1:
            spec["timeout_seconds"] = seconds / 2 + 0.1
        if rng.random() < 0.3 or kind == "fail":
            on = ["exit", "runner-lost", "unreachable", "no-runner", "deadline"]
            spec["retry"] = {"max_attempts": 3, "backoff_seconds": rng.choice([0.2, 1.0]), "on": on}
        self.tasks += 1
        self.jobs += 1
        answer = await ops.create(who, task, spec, True)
        if answer.outcome == "fail":
            await self._end_undispatched(who, task, answer)
            return
        if rng.random() < 0.15:
            await asyncio.sleep(rng.uniform(0, 2))
            await ops.cancel(who, task)
        if rng.random() < 0.03:
            await asyncio.sleep(rng.uniform(0, 2))
            await ops.release(who, task)
        if rng.random() < 0.2:
            await self._again(who, task)
        if "retry" in spec:
            await self._retried(who, task)

    async def _retried(self, who: str, task: str) -> None:
        """Wait until no attempt follows any more; cancel some tasks between two attempts."""
        while (read := await self._operators.look(task))["status"] not in ENDED or read["next_attempt_at"]:
            if read["next_attempt_at"] and self._random.random() < 0.2:
                await self._operators.cancel(who, task)
            await asyncio.sleep(self._random.uniform(0.1, WAIT_SECONDS))

    async def _again(self, who: str, task: str) -> None:
        """Wait for the end of a job, and dispatch it again where it did not succeed."""
        while (read := await self._operators.look(task))["status"] not in ENDED:
            await asyncio.sleep(WAIT_SECONDS)
        if read["status"] != "succeeded":
            await self._operators.dispatch(who, task)

    # ------------------------------------------------------------------ parts of both

    def _claim(self) -> Json:
        rng = self._random
        return {
            "execution_mode": "shared-workspace",
            "workspace": rng.choice(list(self._ground.workspaces)),
            "lock_paths": rng.choices(PATHS, [1, 2, 3, 3, 3, 3, 1, 3])[0],
            "lock_mode": rng.choices(["exclusive", "shared"], [3, 1])[0],
        }

    async def _end_undispatched(self, who: str, task: str, answer: Answer) -> None:
        """End a task that may have been created, but whose workspace was gone when it was dispatched."""
        if answer.code == UNREGISTERED:
            await self._until_definite(self._operators.cancel, who, task)

    async def _until_dispatched(self, who: str, task: str) -> None:
        """Until an attempt is open or ended that was not before."""
        before = (await self._operators.look(task))["attempt"]
        while (await self._operators.look(task))["attempt"] == before:
            if (await self._operators.dispatch(who, task)).definite:
                return
            await asyncio.sleep(0.3)

    async def _until_definite(
        self, operation: Callable[[str, str], Awaitable[Answer]], who: str, task: str
    ) -> Answer:
        while not (answer := await operation(who, task)).definite:
            await asyncio.sleep(0.5)
        return answer


def _where(task: asyncio.Task[None]) -> str:
    """The functions that a client waits in, outermost first."""
    names, waiting = [], task.get_coro()
    while waiting is not None and hasattr(waiting, "cr_frame"):
        frame = waiting.cr_frame
        names.append(f"{waiting.__name__}:{frame.f_lineno if frame else '?'}")
        waiting = waiting.cr_await
    return " > ".join(names)
