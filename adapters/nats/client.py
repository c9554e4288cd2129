"""The control plane's NATS client: chooses its class, and the operations that both classes share.

Every process of the control plane reads every event, and used to spend most of its CPU time on parsing.
`FastClient` halves that by overriding private members of nats-py. It is used only with the versions of
nats-py whose source was read, and no module outside `adapters.nats` names it. With any other version, or if
TOWPATH_NATS_CLIENT says so, the slower `PlainClient` is used (docs/adr/0030-fast-nats-client.md).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal, Protocol, runtime_checkable

from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.nats.message import Arrived, Take, TakeBytes
from adapters.nats.plain_client import PlainClient

Kind = Literal["auto", "fast", "plain"]
READ_VERSIONS = ("2.16.0",)
"""Versions of nats-py whose source was read for `FastClient`; keep the bound in pyproject.toml in step."""


def new_client(kind: Kind = "auto") -> Client:
    """A client that is not connected yet; the only place that chooses its class."""
    if kind == "plain" or (kind == "auto" and installed_version() not in READ_VERSIONS):
        return PlainClient()
    from adapters.nats.fast_client import FastClient

    return FastClient()


def installed_version() -> str:
    """The installed version of nats-py."""
    return version("nats-py")


class Listening(Protocol):
    """A running subscription, returned by `listen` and `tap`."""

    async def unsubscribe(self) -> None:
        """End the subscription. Raises nats.errors.Error."""

    async def drain(self) -> None:
        """The same, but what the server has sent before is still taken. Raises nats.errors.Error."""


@runtime_checkable
class Tappable(Protocol):
    """A client that calls functions with messages as it reads them: `FastClient`."""

    async def listen(self, subject: str, take: Take) -> Listening:
        """See `listen` below."""

    async def tap(self, subject: str, take: TakeBytes) -> Listening:
        """Call `take` with the bytes of each message on `subject`."""


async def listen(connection: Client, subject: str, take: Take) -> Listening:
    """Call `take` for each message on `subject`; works with any nats-py client.

    `take` must neither block nor raise.
    """
    if isinstance(connection, Tappable):
        return await connection.listen(subject, take)

    async def arrived(message: Msg) -> None:
        take(Arrived(message.subject, message.reply, message.data, b"", message.headers or {}))

    return await connection.subscribe(subject, cb=arrived, pending_msgs_limit=0, pending_bytes_limit=0)
