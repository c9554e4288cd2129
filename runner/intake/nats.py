"""NATS intake: takes submissions from a pool's work queue, as many as the capacity allows.

Delivery: acknowledged once the attempt is held durably; a crash before that hands it to another runner after
`ack_wait`, which is short because the submission has a deadline of 30 s. An invalid submission moves to the
dead letters; one that this runner must refuse is reported as `failed`, since no other process can answer it.
"""

from __future__ import annotations

import asyncio

import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from pydantic import ValidationError
from pydantic_core import to_json

from domain import subjects
from domain.backoff import Backoff
from domain.context.redaction import without_secrets
from domain.context.trace import TRACEPARENT, under_traceparent
from domain.protocol import Submission
from domain.subjects import RUNNERS_LETTERS, Stream
from domain.validation.headers import header
from domain.validation.json_reader import parsed, read_json, sendable
from runner.attempts.executor import Executor
from runner.config import RunnerTiming
from runner.errors import StateTrouble, SubmissionRefused
from runner.nats_link import NATS_TROUBLE, NatsLink

ACK_WAIT_SECONDS = 10.0
RETRY = Backoff(first_seconds=0.5, longest_seconds=10.0)
REFUSED_PAUSE_SECONDS = 1.0
REASON_CHARS = 500
LETTER_BYTES = 64 * 1024

log = structlog.get_logger(__name__)


class PoolIntake:
    """The loop of one pool, with the durable consumer that all runners of the pool share."""

    def __init__(self, pool: str, link: NatsLink, executor: Executor, timing: RunnerTiming) -> None:
        self._pool = pool
        self._timing = timing
        self._link = link
        self._executor = executor
        self._log = log.bind(pool=pool)

    async def run(self) -> None:
        """Run until canceled. Waits for a missing stream, and makes a missing consumer again."""
        pauses = RETRY.pauses()
        while True:
            try:
                js = await self._link.jetstream()
                subscription = await self._bind(js)
                try:
                    pauses = RETRY.pauses()
                    await self._take(js, subscription)
                finally:
                    await _quietly(subscription)
            except NATS_TROUBLE as error:
                pause = next(pauses)
                self._log.warning(
                    "cannot take submissions, trying again",
                    error=f"{type(error).__name__} {error}".strip(),
                    pause_seconds=pause,
                )
                await asyncio.sleep(pause)

    async def _bind(self, js: JetStreamContext) -> JetStreamContext.PullSubscription:
        name = f"pool-{self._pool}"
        try:
            await js.consumer_info(Stream.SUBMIT, name)
        except nats.js.errors.NotFoundError:
            config = ConsumerConfig(
                name=name,  # puts the filter into the request's subject, the only permitted form
                durable_name=name,
                filter_subject=subjects.submit(self._pool),
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACK_WAIT_SECONDS,
            )
            await js.add_consumer(Stream.SUBMIT, config)
        return await js.pull_subscribe_bind(consumer=name, stream=Stream.SUBMIT)

    async def _take(self, js: JetStreamContext, subscription: JetStreamContext.PullSubscription) -> None:
        while True:
            await self._executor.room()
            try:
                messages = await subscription.fetch(1, timeout=self._timing.fetch_seconds)
            except TimeoutError:
                await subscription.consumer_info()  # a deleted consumer looks idle: this raises
                continue
            for message in messages:
                await self._settle(js, message)

    async def _settle(self, js: JetStreamContext, message: Msg) -> None:
        try:
            submission = parsed(Submission, message.data)
        except ValidationError as error:
            await self._bury(js, message, error)
            return
        with under_traceparent(header(message.headers, TRACEPARENT)):
            taken = self._take_in(submission)
        if taken:
            await message.ack()
        else:
            await message.nak(delay=REFUSED_PAUSE_SECONDS)

    def _take_in(self, submission: Submission) -> bool:
        """Whether to acknowledge it; if not (stopping, or no disk), another runner gets it."""
        try:
            self._executor.accept(submission, "nats")
        except SubmissionRefused as error:
            return error.status not in {503, 507} and self._refuse(submission, error)
        return True

    def _refuse(self, submission: Submission, error: SubmissionRefused) -> bool:
        """Whether the refusal is stored, to be reported."""
        try:
            self._executor.refuse(submission, error)
        except StateTrouble:
            return False
        return True

    async def _bury(self, js: JetStreamContext, message: Msg, error: ValidationError) -> None:
        wrong = [
            "/".join(map(str, item["loc"])) + ": " + item["msg"] for item in error.errors(include_input=False)
        ]
        reason = ("not a submission: " + "; ".join(wrong))[:REASON_CHARS]
        reason = reason.encode("ascii", "replace").decode().replace("\n", " ").replace("\r", " ")
        self._log.warning("submission not readable, moved to the dead letters", reason=reason)
        headers = {"towpath-reason": reason, "towpath-source": subjects.submit(self._pool)}
        await js.publish(RUNNERS_LETTERS, _harmless(message.data)[:LETTER_BYTES], headers=headers)
        await message.term()


def _harmless(body: bytes) -> bytes:
    """The body for the dead letters, which are kept for weeks, without a submission's short-lived secrets."""
    try:
        return to_json(without_secrets(sendable(read_json(body))))
    except (ValueError, RecursionError):
        return body


async def _quietly(subscription: JetStreamContext.PullSubscription) -> None:
    try:
        await subscription.unsubscribe()
    except NATS_TROUBLE as error:
        log.debug("unsubscribe failed", error=str(error))
