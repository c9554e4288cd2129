"""A small runner over plain NATS: takes attempts of one pool, keeps the start gate, reports, can be canceled.

    NATS_URL=nats://127.0.0.1:4222 NATS_USER=runner NATS_PASSWORD=… python nats_runner.py POOL RUNNER_ID

Needs nats-py alone. It runs one attempt at a time, sends no heartbeat and keeps nothing on disk: killed, it
leaves its attempt `running` until an operator releases it. `towpath runner` does all that; this is to read.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

POOL, RUNNER_ID = sys.argv[1:3]
LOOK_SECONDS = 5.0
GRACE_SECONDS = 5.0
TAIL_BYTES = 8192


async def main() -> None:
    nc = await nats.connect(
        os.environ["NATS_URL"],
        user=os.environ.get("NATS_USER"),
        password=os.environ.get("NATS_PASSWORD"),
        max_reconnect_attempts=-1,
    )
    js = nc.jetstream()
    work = await subscribe(js)
    while True:
        try:
            (message,) = await work.fetch(1, timeout=30)
        except TimeoutError:
            continue
        attempt = Attempt(nc, json.loads(message.data))
        await attempt.report("queued")
        await message.ack()  # not before: another runner gets it if this one dies now
        await attempt.live()


async def subscribe(js):
    """The consumer that all runners of a pool share; whoever comes first makes it."""
    name, subject = f"pool-{POOL}", f"towpath.submit.{POOL}"
    try:
        await js.consumer_info("TOWPATH_SUBMIT", name)
    except NotFoundError:
        config = ConsumerConfig(
            durable_name=name, filter_subject=subject, ack_policy=AckPolicy.EXPLICIT, ack_wait=10
        )
        await js.add_consumer("TOWPATH_SUBMIT", config)
    return await js.pull_subscribe_bind(consumer=name, stream="TOWPATH_SUBMIT")


class Attempt:
    def __init__(self, nc, submission) -> None:
        self.nc, self.js, self.given = nc, nc.jetstream(), submission
        self.id, self.number = submission["task_id"], submission["attempt"]
        self.news = asyncio.Event()

    async def report(self, status, **more) -> None:
        """Durable once acknowledged, also while the API is down; the id makes a repeated one harmless."""
        body = {"status": status, "attempt": self.number, "runner_id": RUNNER_ID, **more}
        headers = {
            "Nats-Msg-Id": f"{self.id}.{self.number}.{status}",
            "X-Runner-Token": self.given["status_callback_token"],
        }
        await self.js.publish(f"towpath.report.{self.id}", json.dumps(body).encode(), headers=headers)

    async def standing(self) -> str:
        """What the task's last event, read from the log's leader, means for this attempt."""
        last = await self.js.get_last_msg("TOWPATH", f"towpath.task.{self.id}.*")
        event, data = last.subject.rpartition(".")[2], json.loads(last.data)
        if data.get("attempt") != self.number or data.get("runner_id") not in (None, RUNNER_ID):
            return "over"  # a later attempt, or another runner's
        if event in ("cancel-requested", "lock-release-requested"):
            return "stop"
        return event if event in ("dispatched", "queued", "running") else "over"

    async def until(self, *wanted) -> str:
        """Look whenever something is heard, and every few seconds, since what is heard may get lost."""
        while (standing := await self.standing()) not in wanted:
            self.news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), LOOK_SECONDS)
        return standing

    async def live(self) -> None:
        async def heard(_) -> None:
            self.news.set()

        watch = await self.nc.subscribe(f"towpath.task.{self.id}.>", cb=heard)
        await self.report("running")
        standing = await self.until("running", "stop", "over")  # the start gate
        if standing == "running":
            await self.work()
        elif standing == "stop":
            await self.report("canceled")
        await watch.unsubscribe()

    async def work(self) -> None:
        workspace = self.given["workspace"]
        env = {"PATH": os.environ["PATH"], **self.given["env"]}
        if workspace:
            env["TOWPATH_LOCK_TOKEN"] = str(workspace["lock_token"])
        process = await asyncio.create_subprocess_exec(
            *self.given["command"],
            cwd=workspace["root"] if workspace else None,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        ended = asyncio.create_task(process.communicate())
        asked = asyncio.create_task(self.until("stop", "over"))
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        stopped = asked.result() if asked.done() else None
        asked.cancel()
        for number in (signal.SIGTERM, signal.SIGKILL) if stopped else ():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            await asyncio.wait({ended}, timeout=GRACE_SECONDS)
        output, _ = await ended
        if stopped == "over":
            return
        tail = output[-TAIL_BYTES:].decode(errors="replace")
        status = "canceled" if stopped else "failed" if process.returncode else "succeeded"
        await self.report(status, exit_code=process.returncode, output_tail=tail)


asyncio.run(main())
