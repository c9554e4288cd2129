"""The API as client commands use it: one connection, and every failure as a CliError."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from domain.answers import PLAIN, AnswerUnusable, bounded_now, check_plain
from infra.cli.exits import CliError, Exit, from_problem

Json = dict[str, Any]
PAGE = 100
LARGE_PAGE = 500
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
ANSWER_BYTES = 64 * 1024 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Unreachable(CliError):
    """No answer came: the API may be back in a moment."""


class Overloaded(Unreachable):
    """The API has too much to do, or NATS does not answer it; nothing is wrong with the request."""


class Unanswered(Unreachable):
    """The request may have arrived: what may be repeated is worth repeating."""


class Silent(Unanswered):
    """The connection stands, but nothing came in time."""


def connect(url: str | None) -> Api:
    """The API at `url`, else where the settings say, with the token from the settings."""
    from infra.settings import SettingsError, load_settings

    try:
        settings = load_settings(url=url)
    except SettingsError as error:
        raise CliError(str(error), Exit.USAGE) from None
    return Api(settings.url, settings.token.get_secret_value() if settings.token else None)


def path(*parts: str) -> str:
    """A URL path of these segments, each escaped."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Api:
    """Requests to one API; use it as a context manager.

    Every method raises Unreachable where no answer came, CliError for a problem answer.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=url,
            headers={**PLAIN, **({"Authorization": f"Bearer {token}"} if token else {})},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """The parsed JSON answer; params that are None or empty are left out."""
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Json | None = None, **params: Any) -> Any:
        """The parsed JSON answer to `body`."""
        return self.call("POST", path, body, params)

    def call(
        self, method: str, path: str, body: Json | None = None, params: dict[str, Any] | None = None
    ) -> Any:
        """The parsed JSON answer, None if it is empty."""
        with (
            self._failures(),
            self._http.stream(method, path, json=body, params=_given(params or {})) as answer,
        ):
            said = self._read(answer)
        return self._parsed(answer.status_code, said)

    def items(self, path: str, limit: int, **params: Any) -> tuple[list[Json], bool]:
        """The first `limit` items of a list, page after page, and whether there are more."""
        found: list[Json] = []
        cursor = None
        while len(found) < limit:
            page = self.get(path, **params, limit=min(PAGE, limit - len(found)), cursor=cursor)
            found += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return found, False
        return found, True

    def pages(self, path: str, **params: Any) -> Iterator[list[Json]]:
        """A list's items page after page to its end; a page may be empty."""
        cursor = None
        while True:
            page = self.get(path, **params, limit=LARGE_PAGE, cursor=cursor)
            yield page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @contextlib.contextmanager
    def stream(
        self, path: str, params: Mapping[str, Any], after: object, silence_seconds: float
    ) -> Iterator[Iterator[bytes]]:
        """An answer that does not end, as it comes; Silent after `silence_seconds` without a byte."""
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=silence_seconds)
        with (
            self._failures(),
            self._http.stream("GET", path, params=_given(params), headers=headers, timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                self._parsed(answer.status_code, self._read(answer))
            check_plain(answer.headers)
            yield answer.iter_raw()

    def _read(self, answer: httpx.Response) -> bytes:
        """The whole body, within ANSWER_SECONDS of its head, however slowly it comes."""
        end = time.monotonic() + ANSWER_SECONDS

        def in_time() -> Iterator[bytes]:
            for chunk in answer.iter_raw():
                if time.monotonic() > end:
                    raise Silent(f"{self._url} did not answer in time; try again", Exit.TIMED_OUT)
                yield chunk

        return bounded_now(answer.headers, in_time(), ANSWER_BYTES)

    def _parsed(self, status: int, said: bytes) -> Any:
        success = 200 <= status < 300
        try:
            body = json.loads(said) if said else None
        except (ValueError, RecursionError):
            body = None
            if success:
                raise CliError(f"{self._url} answered something else than JSON: is it Towpath?") from None
        if status == 503:
            raise Overloaded(str(from_problem(503, body)))
        if not success:
            raise from_problem(status, body)
        return body

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise Unreachable(
                f"nothing answers at {self._url} ({_reason(error)}): start one with `towpath up`, "
                "or say where it is with --url or TOWPATH_URL"
            ) from None
        except httpx.ReadTimeout:
            raise Silent(f"{self._url} did not answer in time; try again", Exit.TIMED_OUT) from None
        except httpx.TimeoutException:
            raise Unreachable(f"{self._url} cannot be reached in time; try again", Exit.TIMED_OUT) from None
        except httpx.TransportError as error:
            raise Unanswered(f"the connection to {self._url} broke ({_reason(error)}); try again") from None
        except AnswerUnusable as error:
            raise CliError(f"{self._url}: {error}") from None
        except httpx.InvalidURL as error:
            raise CliError(f"{self._url} cannot be used: {error}", Exit.USAGE) from None


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in (None, "", [], ())}


def _reason(error: Exception) -> str:
    return str(error).removeprefix("[Errno ").partition("] ")[2] or str(error) or type(error).__name__
