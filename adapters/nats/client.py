"""The control plane's NATS client: which class it is, and what is done with either.

Every process of the control plane reads every event, and parsing messages was most of what it did.
`FastClient` halves that, by overriding private members of nats-py. So it is used only with the versions of
nats-py whose source was read, and nothing outside `adapters.nats` names it. With any other version, or where
TOWPATH_NATS_CLIENT asks for it, `PlainClient` does the same more slowly (docs/adr/0030-fast-nats-client.md).
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
"""Versions of nats-py whose source was read for `FastClient`; bound `nats-py` in pyproject.toml alike."""


def new_client(kind: Kind = "auto") -> Client:
    """A client that is not connected yet; the only place that decides of which class."""
    if kind == "plain" or (kind == "auto" and installed_version() not in READ_VERSIONS):
        return PlainClient()
    from adapters.nats.fast_client import FastClient

    return FastClient()


def installed_version() -> str:
    """The version of nats-py."""
    return version("nats-py")


class Listening(Protocol):
    """What `listen` and `tap` return."""

    async def unsubscribe(self) -> None:
        """Let no more messages come. Raises nats.errors.Error."""


@runtime_checkable
class Tappable(Protocol):
    """A client that gives messages to functions as they are read: `FastClient`."""

    async def listen(self, subject: str, take: Take) -> Listening:
        """See `listen` below."""

    async def tap(self, subject: str, take: TakeBytes) -> Listening:
        """Let `take` be called with the bytes of each message on `subject`."""


async def listen(connection: Client, subject: str, take: Take) -> Listening:
    """Let `take` be called for each message on `subject`, on any of nats-py's clients.

    It must not block and not raise.
    """
    if isinstance(connection, Tappable):
        return await connection.listen(subject, take)

    async def arrived(message: Msg) -> None:
        take(Arrived(message.subject, message.reply, message.data, b"", message.headers or {}))

    return await connection.subscribe(subject, cb=arrived, pending_msgs_limit=0, pending_bytes_limit=0)
