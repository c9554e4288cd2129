"""The two ways a report travels, each with the same question answered: is it done, or try again?

HTTP: POST to the callback URL. The runner stands inside the operator's network and is told by a
submission where to call, so it calls only hosts it was configured with and follows no redirect.
NATS: JetStream publish with a message id; the acknowledgement means that the report is stored.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import httpx
import nats.errors
import nats.js.errors
import orjson

from domain.wire import RUNNER_TOKEN_HEADER
from runner.errors import Refused
from runner.nats_link import NATS_TROUBLE, NatsLink
from runner.state import OutboxRow

HTTP_SECONDS = 15.0
NATS_SECONDS = 5.0
ANSWER_BYTES = 1024 * 1024
TRY_AGAIN = {408, 425, 429}
NOT_YET = "not-granted"
"""The runner has the submission, so the grant is recorded: whoever says this lags behind the log."""


@dataclass(frozen=True)
class Answer:
    """What came back for one report. `detail` is for log lines: never a token, never a body."""

    outcome: Literal["accepted", "rejected", "retry"]
    detail: str
    status: int | None = None
    body: bytes = b""


class ReportTransport(Protocol):
    """Sends one report once. Bounded in time; raises nothing for trouble on the way."""

    async def send(self, row: OutboxRow) -> Answer: ...


def check_callback_url(url: str, allowed: Iterable[str]) -> None:
    """Raise Refused unless `url` is http(s) to one of the `allowed` hosts (`name` or `name:port`)."""
    try:
        parsed = httpx.URL(url)
        parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise Refused(422, "callback-url", "status_callback_url is not a URL") from None
    if parsed.scheme not in {"http", "https"} or parsed.userinfo:
        raise Refused(422, "callback-url", "status_callback_url must be http or https, without a user in it")
    host = parsed.host.lower()
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    names = {host, f"{host}:{port}", f"[{host}]", f"[{host}]:{port}"}
    if not host or names.isdisjoint(allowed):
        raise Refused(
            422, "callback-url", f"this runner does not call back to {host}: start it with that callback host"
        )


class HttpReports:
    """Reports to the callback URL of their submission."""

    def __init__(self, allowed_hosts: Iterable[str]) -> None:
        self._allowed = tuple(allowed_hosts)
        # trust_env=False: no proxy from the environment sees tokens; the system's certificates do count.
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, timeout=HTTP_SECONDS, verify=ssl.create_default_context()
        )

    async def send(self, row: OutboxRow) -> Answer:
        if row.url is None:
            return Answer("rejected", "no callback URL")
        try:
            check_callback_url(row.url, self._allowed)
            async with asyncio.timeout(HTTP_SECONDS):
                status, body = await self._post(row, row.url)
        except Refused as error:
            return Answer("rejected", error.message)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            return Answer("retry", type(error).__name__)
        if 200 <= status < 300:
            return Answer("accepted", f"HTTP {status}", status, body)
        if status >= 500 or status in TRY_AGAIN or problem_kind(body) == NOT_YET:
            return Answer("retry", f"HTTP {status}", status)
        return Answer("rejected", f"HTTP {status} {problem_kind(body)}".strip(), status, body)

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, row: OutboxRow, url: str) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"}
        if row.token is not None:
            headers[RUNNER_TOKEN_HEADER] = row.token
        body = b""
        async with self._client.stream("POST", url, content=row.body, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    break
        return response.status_code, body


class NatsReports:
    """Reports to `towpath.report.<task_id>`."""

    def __init__(self, link: NatsLink) -> None:
        self._link = link

    async def send(self, row: OutboxRow) -> Answer:
        report = row.report
        # One id per step of an attempt: a retry after a lost acknowledgement is no second report.
        headers = {"Nats-Msg-Id": f"{row.key.file_stem}.{report.status}.{report.runner_id}"}
        if row.token is not None:
            headers[RUNNER_TOKEN_HEADER] = row.token
        subject = f"towpath.report.{row.key.task_id}"
        try:
            async with asyncio.timeout(2 * NATS_SECONDS):
                stream = await self._link.jetstream()
                await stream.publish(
                    subject, row.body.encode(), stream="TOWPATH_REPORT", timeout=NATS_SECONDS, headers=headers
                )
        except (nats.errors.MaxPayloadError, nats.js.errors.BadRequestError) as error:
            return Answer("rejected", str(error))
        except NATS_TROUBLE as error:
            return Answer("retry", f"{type(error).__name__} {error}".strip())
        return Answer("accepted", "stored")


def problem_kind(body: bytes) -> str:
    """The last part of an RFC 9457 problem's `type`, such as `stale-attempt`; "" where there is none."""
    try:
        kind = orjson.loads(body)["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return ""
    return str(kind).rstrip("/").replace("#", "/").replace(":", "/").rsplit("/", 1)[-1][:80]
