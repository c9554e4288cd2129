"""Webhook: sends a notice as a structured CloudEvent, signed by the Standard Webhooks scheme.

One request, no redirects, no proxies of the environment, an overall timeout; the answer's body is not read.
The URL may hold a secret, so no error here holds it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httpx
import orjson

from adapters.notices.addresses import Allowed, NotAllowed, Resolve, checked_address, resolve
from adapters.notices.signature import headers
from domain.notices.conversation import NEW, Conversation
from domain.notices.message import Message
from domain.ports.notices import NotSent
from domain.protocol import rfc3339

SOURCE = "/towpath"
CONTENT_TYPE = "application/cloudevents+json"
ANSWER_SECONDS = 10.0
_GONE = 410
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver. `keys` sign, each one; `url` may hold a secret and is not shown."""

    url: str = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)
    allowed: Allowed = field(default_factory=Allowed)

    @property
    def parts(self) -> SplitResult:
        """The URL's parts."""
        return urlsplit(self.url)


def check_url(url: str, allowed: Allowed) -> None:
    """Raise ValueError if `url` is no receiver's; the message does not hold it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it is no URL: write it as https://hooks.example.com/towpath") from None
    if parts.scheme not in _DEFAULT_PORTS or not host or not url.isascii() or not url.isprintable():
        raise ValueError("it is no URL: write it as https://hooks.example.com/towpath")
    if parts.username or parts.password:
        raise ValueError("a user and a password in it are not sent: requests are signed by `secret`")
    if parts.scheme == "http" and not allowed.names(host) and not _address_allowed(host, allowed):
        raise ValueError("http can be read on its way: use https, or name the host in `allow`")


def _address_allowed(host: str, allowed: Allowed) -> bool:
    from ipaddress import ip_address

    try:
        return allowed.holds(ip_address(host))
    except ValueError:
        return False


def cloud_event(message: Message) -> bytes:
    """The body: the event as structured CloudEvent; `notice` in its data tells it in words."""
    event = {
        "specversion": "1.0",
        "id": message.id,
        "source": SOURCE,
        "type": message.type,
        "subject": message.subject,
        "time": rfc3339(message.at),
        "datacontenttype": "application/json",
        **message.attributes,
        "data": {**message.data, "notice": message.notice.model_dump(mode="json")},
    }
    body: bytes = orjson.dumps(event)
    return body


class WebhookSender:
    """Port `Sender`."""

    kind, chat = "webhook", ""
    most_due: int | None = None

    def __init__(
        self,
        webhook: Webhook,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        look_up: Resolve = resolve,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._webhook = webhook
        self._client = client
        self._clock = clock
        self._look_up = look_up
        self._answer_seconds = answer_seconds

    def pause(self) -> float:
        """A receiver is a program, and takes what comes."""
        return 0.0

    async def send(self, message: Message, before: Conversation = NEW) -> None:
        """See the port."""
        body = cloud_event(message)
        try:
            async with asyncio.timeout(self._answer_seconds):
                status = await self._post(message.id, body)
        except TimeoutError:
            raise NotSent(f"no answer within {self._answer_seconds:g} seconds", unsure=True) from None
        except NotAllowed as error:
            raise NotSent(str(error)) from None
        except (httpx.HTTPError, OSError, ValueError) as error:
            # once connected, the request may have arrived, whatever became of the answer
            raise NotSent(_words(error), unsure=isinstance(error, _AFTER_CONNECTING)) from None
        if 300 <= status < 400:
            raise NotSent(f"it answers {status}, a redirect, which is not followed: give its final URL")
        if not 200 <= status < 300:
            raise NotSent(f"it answers {status}", final=status == _GONE)

    async def _post(self, id: str, body: bytes) -> int:
        """Connect to a checked address; the certificate is checked against the name in the URL."""
        parts = self._webhook.parts
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        address = await checked_address(host, port, self._webhook.allowed, self._look_up)
        shown = f"[{address}]" if ":" in address else address
        url = httpx.URL(self._webhook.url).copy_with(host=shown.strip("[]"), port=port)
        given = {
            "host": parts.netloc,
            "content-type": CONTENT_TYPE,
            **headers(self._webhook.keys, id, int(self._clock()), body),
        }
        request = self._client.build_request(
            "POST", url, content=body, headers=given, extensions={"sni_hostname": host}
        )
        answer = await self._client.send(request, stream=True, follow_redirects=False)
        await answer.aclose()
        return answer.status_code


def webhook_client() -> httpx.AsyncClient:
    """The HTTP client of webhooks: no proxies and no credentials of the environment.

    No connection is used again: it is kept by its address, and another name's certificate was checked then.
    """
    once = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(
        trust_env=False, timeout=ANSWER_SECONDS, headers={"user-agent": "towpath"}, limits=once
    )


_AFTER_CONNECTING = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)


def _words(error: Exception) -> str:
    """What went wrong, without the URL, which an error of httpx may name."""
    if isinstance(error, httpx.ConnectError | OSError):
        return f"no connection ({type(error).__name__})"
    return f"the request failed ({type(error).__name__})"
