"""HTTP client of the commands: one connection; every failure is a CliError."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from domain.context.loopback import is_loopback
from domain.validation.bounded_response import PLAIN, AnswerUnusable, bounded_now, check_plain
from infra.cli.client.answers import Answer, Circle, list_of, parsed
from infra.cli.client.endpoint import endpoint
from infra.cli.client.light_http import LightHttp, NotConnected, Response, light_client
from infra.cli.client.sendable import check_sendable
from infra.errors.cli_error import CliError, from_problem, unknown_caller
from infra.errors.exit_codes import Exit
from infra.lock.connection import TooLong

if TYPE_CHECKING:
    import httpx

Json = dict[str, Any]
PAGE = 100
LARGE_PAGE = 500
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
ANSWER_BYTES = 64 * 1024 * 1024


class Unreachable(CliError):
    """No response arrived: the API may be back in a moment."""


class Overloaded(Unreachable):
    """The API is overloaded, or cannot reach NATS; the request itself is valid."""


class Unanswered(Unreachable):
    """The request may have been processed; the caller may retry if it is idempotent."""


class Silent(Unanswered):
    """The connection is open, but no data arrived in time."""


def connect(url: str | None, data_dir: Path | None, *, job_token: str | None = None) -> Api:
    """The API that `where` finds. `job_token`: call it as the job that was given this token."""
    found, token = where(url, data_dir)
    return Api(found, token if job_token is None else None, job_token=job_token)


def where(url: str | None, data_dir: Path | None) -> tuple[str, str | None]:
    """URL and token of the API at `url`, else as configured, else of what runs on the data directory.

    Raises:
        CliError: the settings are invalid.
        Unreachable: nothing runs on the selected data directory.
    """
    return endpoint(url, data_dir) or _by_settings(url, data_dir)


def _by_settings(url: str | None, data_dir: Path | None) -> tuple[str, str | None]:
    from infra.config.installation import NotRunning, completed
    from infra.config.settings import SettingsError, load_settings

    try:
        settings = load_settings(url=url, data_dir=data_dir)
    except SettingsError as error:
        raise CliError(str(error), Exit.USAGE) from None
    option_wins = data_dir is not None and url is None
    try:
        settings = completed(settings, "url", over=("url", "token") if option_wins else ())
    except NotRunning as error:
        raise Unreachable(str(error)) from None
    return settings.url, settings.token.get_secret_value() if settings.token else None


def path(*parts: str) -> str:
    """A URL path of these segments, each escaped.

    Raises:
        CliError: a segment is invalid: empty, `.`, `..` (they change the path), or not valid text.
    """
    for part in parts:
        check_sendable(part, "an id")
        if part in ("", ".", ".."):
            raise CliError(f"{part!r} is no id", Exit.USAGE)
    return "/" + "/".join(quote(part, safe="") for part in parts)


def workspace_path(workspace: str, *parts: str) -> str:
    """The URL path of a workspace and `parts` below it.

    Raises:
        CliError: `workspace` is not a valid name.
    """
    from domain.identifiers import check_name

    try:
        check_name(workspace, "workspace id")
    except ValueError as error:
        raise CliError(str(error), Exit.USAGE) from None
    return path("workspaces", workspace, *parts)


class Api:
    """Requests to one API; use it as a context manager.

    Every method raises Unreachable if no response arrived, CliError for a problem response.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        job_token: str | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._answer_seconds = answer_seconds
        self.beside = partial(Api, url, token, job_token=job_token, answer_seconds=answer_seconds)
        """Makes another client of the same API, for another thread."""
        parts = urlsplit(url)
        without_password = parts.netloc.rpartition("@")[2]
        self._url = parts._replace(netloc=without_password).geturl()
        self._sends_token = token is not None
        self._base, self._trust_env = url, not is_loopback(parts.hostname or "")
        self._headers = _headers(token, job_token)
        self._light = light_client(url, self._headers, ANSWER_BYTES, trust_env=self._trust_env)

    @cached_property
    def _http(self) -> httpx.Client:
        return _client(self._base, self._headers, self._answer_seconds, trust_env=self._trust_env)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._light is not None:
            self._light.close()
        if "_http" in self.__dict__:
            self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """The object in the response; params that are None or empty are left out."""
        return self._there(self.call("GET", path, params=params))

    def post(self, path: str, body: Json | None = None, **params: Any) -> Any:
        """The object in the response."""
        return self._there(self.call("POST", path, body, params))

    def put(self, path: str, body: Json) -> Any:
        """The object in the response."""
        return self._there(self.call("PUT", path, body))

    def delete(self, path: str, **params: Any) -> Answer:
        """The object in the response; empty if there is no body."""
        return self.call("DELETE", path, params=params) or Answer()

    def call(
        self, method: str, path: str, body: Json | None = None, params: dict[str, Any] | None = None
    ) -> Any:
        """The parsed JSON response, None if it is empty."""
        check_sendable(body, "")
        check_sendable(params, "")
        return self._parsed(self._response(method, path, body, _given(params or {})))

    def _response(self, method: str, path: str, body: Json | None, params: Json) -> Response:
        if (light := self._light) is not None:
            try:
                return self._lightly(light, method, path, body, params)
            except NotConnected:
                self._light = None  # httpx tries again, and knows what to say about each failure
        with self._failures(), self._http.stream(method, path, json=body, params=params) as answer:
            return self._whole(answer)

    def _lightly(self, light: LightHttp, method: str, path: str, body: Json | None, params: Json) -> Response:
        try:
            response = light.request(method, path, body, params, self._answer_seconds)
            check_plain(response.fields)
        except TimeoutError:
            raise Silent(f"{self._url} did not answer in time; try again", Exit.TIMED_OUT) from None
        except (AnswerUnusable, TooLong) as error:
            raise CliError(f"{self._url}: {error}") from None
        except (OSError, ValueError, IndexError) as error:
            raise Unanswered(f"the connection to {self._url} broke ({_reason(error)}); try again") from None
        return response

    def _whole(self, answer: httpx.Response) -> Response:
        return Response(answer.status_code, answer.headers, self._read(answer))

    def range(
        self, path: str, expected: Collection[str], **params: Any
    ) -> tuple[Mapping[str, str], bytes] | Json:
        """Headers and body of a response that is not JSON, or the problem if its code is `expected`.

        Names of headers are to be looked up in lower case.
        """
        found = self._response("GET", path, None, _given(params))
        if found.status == 200:
            return found.fields, found.content
        problem = parsed(found.content)
        if isinstance(problem, Answer) and problem.get("code") in expected:
            return problem
        self._parsed(found)
        raise CliError(f"{self._url} answered HTTP {found.status}: is it Towpath?")

    def items(self, path: str, limit: int, **params: Any) -> tuple[list[Json], bool]:
        """The first `limit` items of a paged list, and whether there are more."""
        found: list[Json] = []
        cursor, circle = None, Circle()
        while len(found) < limit:
            circle.check(cursor)
            page = self.get(path, **params, limit=min(PAGE, limit - len(found)), cursor=cursor)
            found += list_of(page, "items")
            cursor = page.get("next_cursor")
            if cursor is None:
                return found, False
        return found, True

    def pages(self, path: str, **params: Any) -> Iterator[Sequence[Json]]:
        """All pages of a list; a page may be empty."""
        cursor, circle = None, Circle()
        while True:
            circle.check(cursor)
            page = self.get(path, **params, limit=LARGE_PAGE, cursor=cursor)
            yield list_of(page, "items")
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    @contextlib.contextmanager
    def stream(
        self, path: str, params: Mapping[str, Any], after: object, silence_seconds: float
    ) -> Iterator[Iterator[bytes]]:
        """A streamed response, chunk by chunk; Silent after `silence_seconds` without a byte."""
        check_sendable(params, "")
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        import httpx

        timeout = httpx.Timeout(self._answer_seconds, connect=CONNECT_SECONDS, read=silence_seconds)
        with (
            self._failures(),
            self._http.stream("GET", path, params=_given(params), headers=headers, timeout=timeout) as answer,
        ):
            if answer.status_code != 200:
                self._parsed(self._whole(answer))
            check_plain(answer.headers)
            yield answer.iter_raw()

    def _read(self, answer: httpx.Response) -> bytes:
        """The whole body; it must arrive within `answer_seconds` of its head."""
        end = time.monotonic() + self._answer_seconds

        def in_time() -> Iterator[bytes]:
            for chunk in answer.iter_raw():
                if time.monotonic() > end:
                    raise Silent(f"{self._url} did not answer in time; try again", Exit.TIMED_OUT)
                yield chunk

        return bounded_now(answer.headers, in_time(), ANSWER_BYTES)

    def _there(self, body: Any) -> Any:
        if body is None:
            raise CliError(f"{self._url} answered nothing: is it Towpath?")
        return body

    def _parsed(self, answer: Response) -> Any:
        status, fields, content = answer
        body = parsed(content)
        if status == 503:
            raise Overloaded(str(from_problem(503, body)))
        if 300 <= status < 400:
            raise CliError(
                f"{self._url} sends elsewhere (HTTP {status}, to "
                f"{_shown(fields.get('location', 'nowhere'))}): give the API's own URL"
            )
        if status == 401:
            raise unknown_caller(self._sends_token)
        if not 200 <= status < 300:
            raise from_problem(status, body)
        if content and not isinstance(body, Answer):
            raise CliError(f"{self._url} answered something else than JSON of Towpath's: is it Towpath?")
        return body

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        import httpx

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
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            raise CliError(f"{self._url} cannot be asked so: look at TOWPATH_URL", Exit.USAGE) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unanswered(f"the connection to {self._url} broke ({_reason(error)}); try again") from None
        except AnswerUnusable as error:
            raise CliError(f"{self._url}: {error}") from None
        except (httpx.InvalidURL, httpx.HTTPError, UnicodeError, OverflowError):
            raise CliError(f"{self._url} cannot be used as a URL: look at TOWPATH_URL", Exit.USAGE) from None


def _headers(token: str | None, job_token: str | None) -> dict[str, str]:
    found = {**PLAIN, **({"Authorization": f"Bearer {token}"} if token else {})}
    if job_token is not None:
        from domain.protocol import RUNNER_AUTH_HEADER

        found[RUNNER_AUTH_HEADER] = job_token
    return found


def _client(url: str, headers: dict[str, str], answer_seconds: float, *, trust_env: bool) -> httpx.Client:
    """An HTTP client that connects to this machine without a proxy and never shows a proxy's password."""
    import httpx

    try:
        return httpx.Client(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS),
            trust_env=trust_env,
        )
    except httpx.InvalidURL:
        raise CliError("TOWPATH_URL, or a proxy's URL in the environment, is no URL", Exit.USAGE) from None
    except (ImportError, ValueError):
        raise CliError(
            "the proxy that ALL_PROXY, HTTPS_PROXY or HTTP_PROXY names cannot be used: give one with http:// "
            "or https://, or name the API's host in NO_PROXY",
            Exit.USAGE,
        ) from None
    except OSError as error:
        raise CliError(
            f"what SSL_CERT_FILE or SSL_CERT_DIR names cannot be read: {error.strerror or error}",
            Exit.USAGE,
        ) from None


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in (None, "", [], ())}


def _shown(location: str) -> str:
    return location.partition("?")[0][:200]


def _reason(error: Exception) -> str:
    return str(error).removeprefix("[Errno ").partition("] ")[2] or str(error) or type(error).__name__
