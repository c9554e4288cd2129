"""A small runner over plain NATS: serves a pool, keeps start gate and lease, reports, can be canceled.

    NATS_URL=nats://127.0.0.1:4222 NATS_USER=runner NATS_PASSWORD=… python nats_runner.py POOL RUNNER_ID

Needs Linux and nats-py alone. TOWPATH_LEASE_SECONDS must be what it is on the control plane. It runs one
attempt at a time and keeps nothing on disk. Killed or stopped itself it cannot end what it has started, and
its attempt becomes `runner-lost`. `towpath runner` does all that; this is to read.
"""

import asyncio
import contextlib
import json
import math
import os
import secrets
import signal
import socket
import sys
import time
from datetime import datetime
from pathlib import Path

import nats
import nats.errors
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig

POOL, RUNNER_ID = sys.argv[1:3]
INSTANCE = secrets.token_hex(8)  # it keeps nothing on disk, so each process is a new one
LEASE_SECONDS = float(os.environ.get("TOWPATH_LEASE_SECONDS", "15"))
BEAT_SECONDS = LEASE_SECONDS / 3
LOOK_SECONDS = 5.0
GRACE_SECONDS = 5.0
UNREAD_SECONDS = 600.0
TAIL_BYTES = 8192
TROUBLE = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)


async def main() -> None:
    nc = await nats.connect(
        os.environ["NATS_URL"],
        user=os.environ.get("NATS_USER"),
        password=os.environ.get("NATS_PASSWORD"),
        max_reconnect_attempts=-1,
        pending_size=0,  # what could not be sent is said to have failed, and not sent later all the same
    )
    js = nc.jetstream()
    heart = Heart(js)
    beating = asyncio.create_task(heart.run())
    work = await subscribe(js)
    while not beating.done():
        try:
            (message,) = await work.fetch(1, timeout=5)
        except TROUBLE:
            continue
        attempt = heart.attempt = Attempt(nc, json.loads(message.data), heart)
        await attempt.report("queued")
        with contextlib.suppress(*TROUBLE):  # it comes again then, and is known to be over
            await message.ack()  # not before: another runner gets it if this one dies now
        await attempt.live()
        heart.attempt = None
    await beating  # tells what ended it


async def subscribe(js):
    """The consumer that all runners of a pool share; the first of them creates it."""
    name, subject = f"pool-{POOL}", f"towpath.submit.{POOL}"
    try:
        await js.consumer_info("TOWPATH_SUBMIT", name)
    except nats.js.errors.NotFoundError:
        config = ConsumerConfig(
            name=name,
            durable_name=name,
            filter_subject=subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=10,
        )
        await js.add_consumer("TOWPATH_SUBMIT", config)
    return await js.pull_subscribe_bind(consumer=name, stream="TOWPATH_SUBMIT")


def boottime() -> float:
    """Seconds on a clock that goes on while the host sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Heart:
    """Says what this runner holds, and knows how long it may therefore let processes run."""

    def __init__(self, js) -> None:
        self.js, self.attempt, self.until = js, None, 0.0
        self.renewed = asyncio.Event()

    @property
    def lease_holds(self) -> bool:
        return boottime() < self.until

    async def run(self) -> None:
        counter = 0
        while True:
            counter, sent = max(counter + 1, time.time_ns() // 1_000_000), boottime()
            held = [{"task_id": self.attempt.id, "attempt": self.attempt.number}] if self.attempt else []
            who = {"runner_id": RUNNER_ID, "instance": INSTANCE, "host": socket.gethostname()}
            beat = {**who, "pools": [POOL], "capacity": 1}
            body = json.dumps({**beat, "counter": counter, "held": held}).encode()
            try:
                await self.js.publish(f"towpath.runner.{RUNNER_ID}", body, timeout=BEAT_SECONDS)
            except TROUBLE as error:
                sys.stderr.write(f"heartbeat not acknowledged: {error!r}\n")
                pause = min(1.0, BEAT_SECONDS)
            else:
                self.until, pause = sent + LEASE_SECONDS, BEAT_SECONDS  # from its sending, not from now
                self.renewed.set()
                if self.attempt:
                    self.attempt.news.set()  # what was heard meanwhile may have got lost: look
            await asyncio.sleep(max(0.05, sent + pause - boottime()))

    async def held(self) -> None:
        while not self.lease_holds:
            self.renewed.clear()
            await self.renewed.wait()

    async def lost(self) -> None:
        while self.lease_holds:
            self.renewed.clear()
            with contextlib.suppress(
                TimeoutError
            ):  # at most half a second: its clock stands while the host sleeps
                await asyncio.wait_for(self.renewed.wait(), min(0.5, self.until - boottime()))


class Attempt:
    def __init__(self, nc, submission, heart) -> None:
        self.nc, self.js, self.given, self.heart = nc, nc.jetstream(), submission, heart
        self.id, self.number = submission["task_id"], submission["attempt"]
        self.news = asyncio.Event()

    async def report(self, status, **more) -> None:
        """Until acknowledged, which means kept, also while the API is down; its id makes two of it one."""
        who = {"attempt": self.number, "runner_id": RUNNER_ID, "instance": INSTANCE}
        body = {"status": status, **who, **more}
        headers = {
            "Nats-Msg-Id": secrets.token_hex(16),
            "X-Runner-Token": self.given["status_callback_token"],
        }
        data, repeated = json.dumps(body).encode(), False
        while True:
            try:
                stored = await self.js.publish(f"towpath.report.{self.id}", data, headers=headers)
            except TROUBLE as error:
                sys.stderr.write(f"{status} not acknowledged yet: {error!r}\n")
                repeated = True
                await asyncio.sleep(1)
                continue
            if repeated or not stored.duplicate:
                return
            headers["Nats-Msg-Id"] = secrets.token_hex(16)  # somebody else's message had this id

    async def standing(self) -> str:
        """What the task's last event, read from the log's leader, means for this attempt."""
        last = await self.js.get_last_msg("TOWPATH", f"towpath.task.{self.id}.*")
        event, data = last.subject.rpartition(".")[2], json.loads(last.data)
        if data.get("attempt") != self.number or data.get("runner_id") not in (None, RUNNER_ID):
            return "over"  # a later attempt, or another runner's
        if data.get("instance") not in (None, INSTANCE):
            return "over"  # another one has been started with this one's id
        if event in ("cancel-requested", "lock-release-requested"):
            return "stop"
        if event in ("asked", "answered"):
            return "running"  # a question of its job
        return event if event in ("dispatched", "queued", "running") else "over"

    async def until(self, *wanted) -> str:
        """Look whenever something is heard, and every few seconds, since what is heard may get lost."""
        while True:
            self.news.clear()
            with contextlib.suppress(*TROUBLE):
                if (standing := await self.standing()) in wanted:
                    return standing
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), LOOK_SECONDS)

    async def live(self) -> None:
        async def heard(_) -> None:
            self.news.set()

        watch = await self.nc.subscribe(f"towpath.task.{self.id}.>", cb=heard)
        await self.report("running")
        while True:  # the start gate
            await self.heart.held()
            standing = await self.until("running", "stop", "over")
            if standing != "running" or self.heart.lease_holds:
                break
        if standing == "running":
            end = await self.work()
        else:
            end = {"status": "canceled"} if standing == "stop" else None
        if end:
            await self.report(**end)
            with contextlib.suppress(TimeoutError):  # held until it stands in the log
                await asyncio.wait_for(self.until("over"), LEASE_SECONDS)
        await watch.unsubscribe()

    async def work(self) -> dict | None:
        """Runs the command; the end there is to report."""
        workspace, limit = self.given["workspace"], self.given["timeout_seconds"]
        try:
            process = await asyncio.create_subprocess_exec(
                *self.given["command"],
                cwd=workspace["root"] if workspace else None,
                env={"PATH": os.environ["PATH"], **self.given["env"], **self.variables()},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            return {"status": "failed", "reason": "error", "message": str(error)}
        reading = asyncio.create_task(read_tail(process.stdout))
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self.until("stop", "over"))
        lost = asyncio.create_task(self.heart.lost())
        late = asyncio.create_task(self.overdue(limit if limit is not None else math.inf))
        await asyncio.wait({ended, asked, lost, late}, return_when=asyncio.FIRST_COMPLETED)
        why = asked.result() if asked.done() else "lost" if lost.done() else "" if ended.done() else "timeout"
        if why in ("stop", "over", "timeout"):
            self.kill(signal.SIGTERM)
            await asyncio.wait({ended, lost}, timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        while self.left() or not ended.done():  # nothing outlives the command, and nothing a cancel
            self.kill(signal.SIGKILL)
            await asyncio.wait({ended}, timeout=0.05)
            await asyncio.sleep(0.05)
        for waiting in (asked, lost, late):
            waiting.cancel()
        return self.end(why, process.returncode, await reading)

    async def overdue(self, limit: float) -> None:
        """Until it has run for `limit` seconds. A timeout that pauses moves by its questions' time."""
        due = deadline = boottime() + limit
        unread_at = None
        while True:
            now = boottime()
            if now < deadline:
                await asyncio.sleep(min(deadline - now, 1))
                continue
            if not self.given.get("timeout_pauses"):
                return
            try:
                paused, asks = await self.pauses()
                unread_at = None
            except TROUBLE:  # it may be waiting for a person
                unread_at = unread_at or now
                if now >= unread_at + UNREAD_SECONDS:
                    return
                deadline = now + 1
                continue
            if now >= due + paused:
                return
            deadline = min(due + paused, now + 1) if asks else due + paused

    async def pauses(self) -> tuple[float, bool]:
        """How long questions of this attempt can have been open, read from the log; and whether one is."""
        paused, asked, until, seq = 0.0, None, None, 0
        while True:
            try:
                found = await self.js.get_msg("TOWPATH", seq + 1, f"towpath.task.{self.id}.*", next=True)
            except nats.js.errors.NotFoundError:
                break
            seq, event, data = found.seq, found.subject.rpartition(".")[2], json.loads(found.data)
            at = datetime.fromisoformat(found.headers["ce-time"])
            if data.get("attempt") != self.number:
                continue
            if event == "asked":
                asked, expiry = at, data["expires_at"]
                until = datetime.fromisoformat(expiry) if expiry else None
            elif event == "answered":
                paused += (min(at, until or at) - asked).total_seconds()
                asked = None
        if asked is None:
            return paused, False
        return paused + ((until - asked).total_seconds() if until else math.inf), True

    def end(self, why: str, code: int, output: bytes) -> dict | None:
        more = {"exit_code": code, "output_tail": self.redacted(output.decode(errors="replace"))}
        if why == "over":
            return None
        if why == "stop":
            return {"status": "canceled", **more}
        if why or code < 0:
            reason = {"lost": "runner-lost", "timeout": "timeout"}.get(why, "killed")
            return {"status": "failed", "reason": reason, **more}
        return {"status": "failed" if code else "succeeded", **more}

    def variables(self) -> dict[str, str]:
        names = {"TASK_ID": self.id, "ATTEMPT": self.number, "RUNNER_ID": RUNNER_ID}
        if workspace := self.given["workspace"]:
            names |= {"WORKSPACE": workspace["id"], "LOCK_TOKEN": workspace["lock_token"]}
        return {f"TOWPATH_{name}": str(value) for name, value in names.items()}

    def left(self) -> list[int]:
        """Everything that was started for this attempt, also what went into a session of its own."""
        marks = {f"{name}={value}".encode() for name, value in self.variables().items()}
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                    if marks <= set((entry / "environ").read_bytes().split(b"\0")):
                        found.append(int(entry.name))
        return found

    def kill(self, number: int) -> None:
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def redacted(self, text: str) -> str:
        names = self.given.get("secret_names", ())
        for secret in (*(self.given["env"][name] for name in names), self.given["status_callback_token"]):
            text = text.replace(secret, "***") if secret and len(secret) > 2 else text
        return text


async def read_tail(output: asyncio.StreamReader) -> bytes:
    tail = b""
    while more := await output.read(65536):
        tail = (tail + more)[-TAIL_BYTES:]
    return tail


asyncio.run(main())
