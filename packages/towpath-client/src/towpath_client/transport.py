"""Carries out steps with httpx, blocking or not; httpx's errors become the errors of this package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from towpath_client.config import Config
from towpath_client.errors import BadConfiguration, NotTowpath, TowpathError, Unanswered, Unreachable
from towpath_client.steps import Answer, Open, Pause, Read, Request, Send

CONNECT_SECONDS = 5.0
MAX_ANSWER_BYTES = 64 << 20
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Exchange:
    """What one operation does with a connection pool; at most one answer is open."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._parts: Iterator[bytes] = iter(())

    def perform(self, step: Any) -> Any:
        """The reply to a step; a transport error is a reply, too."""
        try:
            with _translated(self._http):
                if isinstance(step, Pause):
                    return time.sleep(step.seconds)
                if isinstance(step, Send):
                    return self._send(step.request)
                if isinstance(step, Open):
                    return self._connect(step.request)
                assert isinstance(step, Read)
                return next(self._parts, b"")
        except TowpathError as error:
            self.close()
            return error

    def _send(self, request: Request) -> Answer:
        end = time.monotonic() + request.seconds
        with self._http.stream(**_arguments(request)) as response:
            return _answer(response, b"".join(_bounded(response.iter_raw(), end)))

    def _connect(self, request: Request) -> Answer:
        self.close()
        arguments = _arguments(request)
        timeout = arguments.pop("timeout")
        built = self._http.build_request(**arguments, timeout=timeout)
        self._open = response = self._http.send(built, stream=True)
        if response.status_code == 200:
            self._parts = response.iter_raw()
            return _answer(response)
        body = b"".join(_bounded(response.iter_raw(), time.monotonic() + request.seconds))
        self.close()
        return _answer(response, body)

    def close(self) -> None:
        """Close the open answer."""
        response, self._open, self._parts = self._open, None, iter(())
        if response is not None:
            response.close()


class AsyncExchange:
    """The same without blocking."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open: httpx.Response | None = None
        self._parts: AsyncIterator[bytes] | None = None

    async def perform(self, step: Any) -> Any:
        """The reply to a step; a transport error is a reply, too."""
        try:
            with _translated(self._http):
                if isinstance(step, Pause):
                    return await asyncio.sleep(step.seconds)
                if isinstance(step, Send):
                    return await self._send(step.request)
                if isinstance(step, Open):
                    return await self._connect(step.request)
                assert isinstance(step, Read)
                return await self._read()
        except TowpathError as error:
            await self.close()
            return error

    async def _send(self, request: Request) -> Answer:
        end = time.monotonic() + request.seconds
        async with self._http.stream(**_arguments(request)) as response:
            return _answer(response, await _joined(response.aiter_raw(), end))

    async def _connect(self, request: Request) -> Answer:
        await self.close()
        arguments = _arguments(request)
        timeout = arguments.pop("timeout")
        built = self._http.build_request(**arguments, timeout=timeout)
        self._open = response = await self._http.send(built, stream=True)
        if response.status_code == 200:
            self._parts = response.aiter_raw()
            return _answer(response)
        body = await _joined(response.aiter_raw(), time.monotonic() + request.seconds)
        await self.close()
        return _answer(response, body)

    async def _read(self) -> bytes:
        return b"" if self._parts is None else await anext(self._parts, b"")

    async def close(self) -> None:
        """Close the open answer."""
        response, self._open, self._parts = self._open, None, None
        if response is not None:
            await response.aclose()


def options(config: Config) -> dict[str, Any]:
    """What both kinds of httpx client are made with. A proxy is not asked for this machine's own API."""
    return {"base_url": config.url, "headers": config.headers, "trust_env": not config.is_local}


@contextmanager
def configuring() -> Iterator[None]:
    """Errors of making a client become BadConfiguration; they never show a proxy's password."""
    try:
        yield
    except (httpx.InvalidURL, ImportError, ValueError):
        raise BadConfiguration("the URL, or a proxy's URL in the environment, cannot be used") from None
    except OSError:
        raise BadConfiguration("what SSL_CERT_FILE or SSL_CERT_DIR names cannot be read") from None


def _arguments(request: Request) -> dict[str, Any]:
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    connect = min(CONNECT_SECONDS, request.seconds)
    return {
        "method": request.method,
        "url": request.path,
        "params": request.query,
        "content": request.content,
        "headers": headers,
        "timeout": httpx.Timeout(request.seconds, connect=connect),
    }


def _answer(response: httpx.Response, content: bytes = b"") -> Answer:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise NotTowpath("the answer is compressed, though the request forbids that: turn that off there")
    return Answer(response.status_code, dict(response.headers), content)


def _bounded(parts: Iterator[bytes], end: float) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size = _checked(size + len(part), end)
        yield part


async def _joined(parts: AsyncIterator[bytes], end: float) -> bytes:
    found, size = [], 0
    async for part in parts:
        size = _checked(size + len(part), end)
        found.append(part)
    return b"".join(found)


def _checked(size: int, end: float) -> int:
    if size > MAX_ANSWER_BYTES:
        raise NotTowpath(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    if time.monotonic() > end:
        raise Unanswered("the answer did not end in time")
    return size


@contextmanager
def _translated(http: httpx.Client | httpx.AsyncClient) -> Iterator[None]:
    if http.is_closed:
        raise BadConfiguration("this client was closed")
    try:
        yield
    except _NOT_SENT as error:
        place = f"{http.base_url.scheme}://{http.base_url.netloc.decode()}"  # no password that stands in it
        raise Unreachable(
            f"nothing answers at {place} ({_words(error)}): start it, or give another `url` (TOWPATH_URL)"
        ) from None
    except httpx.TimeoutException:
        raise Unanswered("no answer came in time") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise BadConfiguration(f"the URL of the API cannot be used: {error}") from None
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise Unanswered(f"the connection broke ({_words(error)})") from None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
