"""Ports of the notifier: where notices are sent, and its state, which no rebuild drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.log.position import Position
from domain.notices.message import Message
from domain.notices.watches import Changes, Watch


class NotSent(Exception):
    """The receiver did not take the message; the text says why. `final`: it wants no further try."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Sender(Protocol):
    """One channel's way to its receiver."""

    async def send(self, message: Message) -> None:
        """Send once. Raises NotSent."""
        ...


class Superseded(Exception):
    """Another notifier works on this state now."""


class Standing(NamedTuple):
    """Which notifier works (None: none), and a count that it raises while it does."""

    owner: str | None
    beat: int


@dataclass(frozen=True, slots=True)
class Start:
    """Where a notifier goes on. `position` is None in a new state.

    `dead_seq`: the last dead letter that was seen; `windows`: when the open window of a channel ends.
    """

    position: Position | None
    dead_seq: int
    watches: Sequence[Watch]
    windows: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Placed:
    """A message for a channel, due at `due_at`; `bundles`: it goes out with others that are due then.

    `at`: when it was placed. `name`, `place` and `runner_id` are what a digest counts by.
    """

    channel: str
    message: Message
    name: str
    place: str
    runner_id: str
    at: datetime
    due_at: datetime
    bundles: bool
    urgent: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction records: a new position, notices, and changed watches."""

    position: Position | None = None
    dead_seq: int | None = None
    notices: Sequence[Placed] = ()
    watches: Changes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is being sent. `members`: how many notices it tells; `tries`: how often it has failed."""

    message: Message
    channel: str
    members: int
    tries: int
    first_try_at: datetime
    urgent: bool


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """Counts of one channel: notices sent, failed tries, waiting, given up.

    `oldest`: since when the first of those that are due has been due.
    """

    channel: str
    sent: int
    failed: int
    waiting: int
    dead: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class DeadNotice:
    """A notice that was given up."""

    channel: str
    message: Message
    tries: int
    at: datetime
    why: str


class NoticeState(Protocol):
    """What was told and what is to be told; of all notifiers, only the one that works may change it.

    All methods raise Busy while the database is away, and those after `take` raise Superseded once another
    notifier has taken over.
    """

    @property
    def owner(self) -> str:
        """The notifier that this state is opened for."""
        ...

    async def standing(self) -> Standing:
        """Which notifier works."""
        ...

    async def take(self, seen: Standing) -> bool:
        """Become the one that works, if nothing has changed since `seen`."""
        ...

    async def beat(self) -> None:
        """Show that this notifier works."""
        ...

    async def leave(self) -> None:
        """Let another one work."""
        ...

    async def start(self, now: datetime) -> Start:
        """Where to go on.

        What a predecessor was sending when it ended becomes due again, marked so; a digest does not.
        """
        ...

    async def record(self, step: Step) -> None:
        """Record a step in one transaction. A notice that its channel has already is not recorded twice."""
        ...

    async def next(self, channel: str, now: datetime) -> Outgoing | None:
        """What is due first, marked as being sent; what is due together becomes one digest."""
        ...

    async def sent(self, one: Outgoing, now: datetime) -> None:
        """Record that it was sent."""
        ...

    async def failed(self, one: Outgoing, now: datetime, why: str, again_at: datetime | None) -> None:
        """Record that it was not sent; None: it is given up."""
        ...

    async def forget(self, before: datetime) -> None:
        """Forget what was finished before this time."""
        ...
