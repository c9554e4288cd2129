"""JetStream requests that nats-py lacks: leader reads by subject, and bounded direct batches.

Leader reads (`$JS.API.STREAM.MSG.GET`) decide conflicts and refusals; each is accepted only once it is
certain that the leader was not replaced (`adapters.nats.leader_quorum`). Direct reads are faster, but a
lagging follower may answer them. They are used for a range that a leader read has bounded, or if there is no
follower.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from adapters.nats.leader_quorum import Leadership, NoMajority, certain_seconds
from adapters.nats.message import Arrived
from adapters.nats.request_reply import replies_of
from domain.errors import Busy
from domain.subjects import Stream, under

REQUEST_SECONDS = 5.0
_SEQUENCE, _SUBJECT = b"\r\nNats-Sequence: ", b"\r\nNats-Subject: "
_NO_MESSAGE = 10037
_NO_CONSUMER = 10014
_NO_STREAM = 10059


class LogUnreachable(Busy):
    """The log did not answer in time; the request can be repeated."""

    def __init__(self, detail: str = "the log does not answer") -> None:
        super().__init__("log-unreachable", f"{detail}; is NATS up? Try again in a moment")


class StreamMissing(LogUnreachable):
    """NATS answers, but it has no such stream: another server or account, or the stream was deleted."""

    def __init__(self, stream: str) -> None:
        Busy.__init__(
            self,
            "log-unreachable",
            f"NATS has no stream {stream}: is this the right server and account? `towpath up`, `api` and "
            "`projector` make what is missing when they start",
        )


class RawMessage(Arrived):
    """A stored message. `raw_headers` is empty with nats-py's own client; only leader reads fill `time`."""

    __slots__ = ("seq", "time")

    def __init__(
        self,
        seq: int,
        subject: str,
        data: bytes,
        raw_headers: bytes,
        headers: Mapping[str, str] | None = None,
        time: str = "",
    ) -> None:
        super().__init__(subject, "", data, raw_headers, headers)
        self.seq = seq
        self.time = time


class JetStreamApi:
    """Reads of one stream over one connection; for `led_seconds` see `adapters.nats.leader_quorum`.

    A request that is not answered within `request_seconds` raises LogUnreachable.
    """

    def __init__(
        self,
        connection: Client,
        stream: str = Stream.LOG,
        led_seconds: float = 0.0,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        self.replies = replies_of(connection)
        self._stream = stream
        self._request_seconds = request_seconds
        self._leadership = Leadership(self._ask_info, led_seconds)

    async def last(self, subject: str) -> RawMessage | None:
        """The last message whose subject matches, from the leader."""
        return await self._get({"last_by_subj": subject})

    async def next(self, subject: str, seq: int) -> RawMessage | None:
        """The first message at or after `seq` whose subject matches, from the leader."""
        return await self._get({"next_by_subj": subject, "seq": seq})

    async def get(self, seq: int) -> RawMessage | None:
        """The message at `seq`, from the leader."""
        return await self._get({"seq": seq})

    async def since(self, at: datetime) -> RawMessage | None:
        """The first message that the broker stored at or after `at`, from the leader."""
        return await self._get({"start_time": at.astimezone(UTC).isoformat().replace("+00:00", "Z")})

    async def info(self) -> dict[str, Any]:
        """The stream's info, from a leader with a majority."""
        return _by_majority(await self._ask_info())

    async def count(self, subject: str) -> int:
        """The number of matching messages, from a leader whose same answer proves its majority.

        A leader that was replaced and has not noticed it therefore cannot give a wrong count.
        """
        info = _by_majority(await self._ask_info(subjects_filter=subject))
        return sum((info["state"].get("subjects") or {}).values())

    async def _ask_info(self, **question: str) -> dict[str, Any]:
        body = orjson.dumps(question) if question else b""
        return await self._request(f"$JS.API.STREAM.INFO.{self._stream}", body)

    async def streams(self) -> list[dict[str, Any]]:
        """Configuration and state of every stream of Towpath, each as in STREAM.INFO."""
        answer = await self._request("$JS.API.STREAM.LIST", orjson.dumps({"subject": under()}))
        return list(answer.get("streams") or [])

    async def account(self) -> dict[str, Any]:
        """Usage and limits of the JetStream account."""
        return await self._request("$JS.API.INFO", b"")

    async def delete(self, seq: int) -> None:
        """Remove the message at `seq` and overwrite its bytes; idempotent."""
        try:
            await self._request(f"$JS.API.STREAM.MSG.DELETE.{self._stream}", orjson.dumps({"seq": seq}))
        except LogUnreachable:
            # an error may also mean that an earlier, unanswered try removed it
            if await self.get(seq) is not None:
                raise

    async def purge(self, subject: str, below_seq: int) -> None:
        """Remove all messages of `subject` before `below_seq`."""
        body = orjson.dumps({"filter": subject, "seq": below_seq})
        await self._request(f"$JS.API.STREAM.PURGE.{self._stream}", body)

    async def batch(self, subject: str | None, seq: int, count: int) -> list[RawMessage]:
        """Up to `count` messages at or after `seq` whose subject matches; perhaps from a follower.

        Before it sends any, the server counts all that match, and a pattern costs it more the longer the
        stream is. None matches all without a pattern.
        """
        if count <= 0:
            return []
        return await self._direct(count, {"seq": seq, **({"next_by_subj": subject} if subject else {})})

    async def last_of_each(self, subject: str, count: int) -> list[RawMessage] | None:
        """The last message of each matching subject, at most `count`, in order.

        None if a replica or a mirror, which may lag, could answer instead of the leader.
        """
        try:
            if await self._leadership.has_replicas():
                return None
        except NoMajority as error:
            raise _without_majority(error) from error
        found = await self._direct(count, {"multi_last": [subject]})
        # a mirror answers under its own name
        return found if all(one.headers.get("Nats-Stream") == self._stream for one in found) else None

    async def _direct(self, count: int, query: dict[str, Any]) -> list[RawMessage]:
        batch = _Batch(count)
        request = orjson.dumps({**query, "batch": count})
        try:
            return await self.replies.collect(
                f"$JS.API.DIRECT.GET.{self._stream}", request, self._request_seconds, batch.done, batch.take
            )
        except nats.errors.Error as error:
            raise LogUnreachable from error

    async def consumer(self, name: str) -> dict[str, Any] | None:
        """A durable consumer's configuration and state; None if it does not exist."""
        found = await self._request(f"$JS.API.CONSUMER.INFO.{self._stream}.{name}", b"")
        return None if "error" in found else found

    async def consumers(self) -> list[dict[str, Any]]:
        """All consumers, each as in CONSUMER.INFO."""
        found: list[dict[str, Any]] = []
        while True:
            body = orjson.dumps({"offset": len(found)})
            answer = await self._request(f"$JS.API.CONSUMER.LIST.{self._stream}", body)
            page = answer.get("consumers") or []
            found += page
            if not page or len(found) >= answer.get("total", 0):
                return found

    async def delete_consumer(self, name: str) -> None:
        """Remove a consumer; idempotent."""
        await self._request(f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}", b"")

    async def make_consumer(self, name: str, config: dict[str, Any]) -> int:
        """Create the consumer `name`; return the number of messages pending for it.

        Every NATS role that may read may do so with one filter (default `>`); only the control plane may give
        several as `filter_subjects`.
        """
        subject = f"$JS.API.CONSUMER.CREATE.{self._stream}.{name}"
        if "filter_subjects" not in config:
            config = {"filter_subject": ">", **config}
            subject = f"{subject}.{config['filter_subject']}"
        body = orjson.dumps({"stream_name": self._stream, "config": {**config, "name": name}})
        answer = await self._request(subject, body)
        return int(answer["num_pending"])

    def next_subject(self, consumer: str) -> str:
        """The subject on which a consumer's next messages are requested."""
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"

    async def _get(self, query: dict[str, Any]) -> RawMessage | None:
        answer = await self._request(f"$JS.API.STREAM.MSG.GET.{self._stream}", orjson.dumps(query))
        try:
            await self._leadership.confirm()
        except NoMajority as error:
            raise _without_majority(error) from error
        message = answer.get("message")
        if message is None:
            return None
        block = base64.b64decode(message.get("hdrs", ""))
        data = base64.b64decode(message.get("data", ""))
        return RawMessage(message["seq"], message["subject"], data, block, time=message["time"])

    async def _request(self, subject: str, body: bytes) -> dict[str, Any]:
        try:
            answer = await self.replies.ask(subject, body, self._request_seconds)
        except nats.errors.Error as unreachable:
            raise LogUnreachable from unreachable
        parsed: dict[str, Any] = orjson.loads(answer.data)
        error = parsed.get("error")
        if error and error.get("err_code") == _NO_STREAM:
            raise StreamMissing(self._stream)
        if error and error.get("err_code") not in (_NO_MESSAGE, _NO_CONSUMER):
            raise LogUnreachable(f"the log answered: {error.get('description')}")
        return parsed


def _by_majority(info: dict[str, Any]) -> dict[str, Any]:
    try:
        certain_seconds(info)
    except NoMajority as error:
        raise _without_majority(error) from error
    return info


def _without_majority(error: NoMajority) -> LogUnreachable:
    return LogUnreachable(f"the log's leader may have been replaced: {error}")


def _last_value(block: bytes, needle: bytes) -> bytes:
    """The value of the last such header: the server appends its own. ValueError if there is none."""
    start = block.rindex(needle) + len(needle)
    return block[start : block.index(b"\r", start)]


class _Batch:
    """Collects the messages of one batch until it is complete or the server reports its end."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._messages: list[RawMessage] = []
        self.done: asyncio.Future[list[RawMessage]] = asyncio.get_running_loop().create_future()

    def take(self, message: Arrived) -> None:
        if self.done.done():
            return
        block = message.raw_headers
        if (_SEQUENCE not in block) if block else ("Nats-Sequence" not in message.headers):
            self._end(message.headers.get("Status", ""))
            return
        try:
            if block:
                seq, subject = int(_last_value(block, _SEQUENCE)), _last_value(block, _SUBJECT).decode()
                self._messages.append(RawMessage(seq, subject, message.data, block))
            else:  # of nats-py's own client
                headers = message.headers
                seq, subject = int(headers["Nats-Sequence"]), headers["Nats-Subject"]
                self._messages.append(RawMessage(seq, subject, message.data, b"", headers))
        except (KeyError, ValueError) as error:
            self.done.set_exception(LogUnreachable(f"a message came back in an unknown form: {error!r}"))
            return
        if len(self._messages) == self._wanted:
            self.done.set_result(self._messages)

    def _end(self, status: str) -> None:
        if status in ("204", "404"):
            self.done.set_result(self._messages)
        else:
            self.done.set_exception(LogUnreachable(f"a read of the log was answered with status {status}"))
