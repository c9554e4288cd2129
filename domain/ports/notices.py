"""Ports of the notifier: where notices are sent, and its state, which no rebuild drops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from domain.identifiers import TaskId
from domain.log.position import Position
from domain.notices.conversation import NEW, Conversation
from domain.notices.message import Message
from domain.notices.watches import Changes, Watch


class NotSent(Exception):
    """The receiver did not take the message; the text says why. `final`: it wants no further try.

    `unsure`: a person may see it all the same, so another try is marked. `retry_after`: seconds to wait.
    """

    def __init__(
        self, why: str, *, final: bool = False, unsure: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(why)
        self.final = final
        self.unsure = unsure
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Posted:
    """A message in `chat`, and what that shows about its topic from now on.

    `message_id`: of the new message, or of the one that was edited.
    """

    chat: str
    message_id: int
    topic: str | None
    conversation: Conversation


class Sender(Protocol):
    """One channel's way to its receiver."""

    @property
    def kind(self) -> str:
        """What the file calls such a channel."""
        ...

    @property
    def chat(self) -> str:
        """Where messages stay, to be edited and answered; empty where they do not."""
        ...

    @property
    def most_due(self) -> int | None:
        """So many notices that are due at once go out one by one, more as a digest; None: any number."""
        ...

    def pause(self) -> float:
        """Seconds until it may send."""
        ...

    async def send(self, message: Message, before: Conversation) -> Posted | None:
        """Send once, after what the chat shows about the message's topic. Raises NotSent."""
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
class Pull:
    """What a channel wants next. `chat`, `most_due`: see Sender. `urgent_only`: only what is urgent."""

    chat: str = ""
    most_due: int | None = None
    urgent_only: bool = False


ANY = Pull()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is being sent. `members`: how many notices it tells; `tries`: how often it has failed.

    `before`: what the chat shows about its topic. `folded`: a digest, since there were too many.
    """

    message: Message
    channel: str
    members: int
    tries: int
    first_try_at: datetime
    urgent: bool
    before: Conversation = NEW
    folded: bool = False


@dataclass(frozen=True, slots=True)
class ChannelFigures:
    """Counts of one channel: notices sent, failed tries, waiting, given up.

    `oldest`: since when the first of those that are due has been due. `kind`: None where the notifier's file
    has no channel of this name.
    """

    channel: str
    sent: int
    failed: int
    waiting: int
    dead: int
    oldest: datetime | None
    kind: str | None = None


NoticeStatus = Literal["waiting", "sending", "sent", "dead", "unsure"]
"""`dead`: given up. `unsure`: the notifier ended while it sent this digest, which is not sent again."""
ReplayOutcome = Literal["replayed", "changed", "no-such-channel"]
"""`changed`: it was not given up at that time. `no-such-channel`: the file has none of the name."""


@dataclass(frozen=True, slots=True)
class KeptNotice:
    """A notice for one channel, and what has become of it.

    `at`: when it was placed; `due_at`: when it was, or is, to be sent; `changed_at`: when it was sent, failed
    or was given up. `error`: why the last try failed. `members`: how many notices a digest tells, else 1.
    `digest`: the id of the digest that it went out with.
    """

    channel: str
    message: Message
    state: NoticeStatus
    at: datetime
    due_at: datetime
    changed_at: datetime | None
    tries: int
    error: str | None
    members: int = 1
    digest: str | None = None


class NoticePlace(NamedTuple):
    """The place of a notice among all, which are ordered by time."""

    at: datetime
    id: str
    channel: str


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which notices: about this task, of this channel, in this state."""

    task_id: TaskId | None = None
    channel: str | None = None
    state: NoticeStatus | None = None


class GivenUp(NamedTuple):
    """A notice that was given up at that time, as a person has seen it."""

    channel: str
    id: str
    at: datetime


class NoticeHistory(Protocol):
    """What was told, for people to look at; all methods raise Busy while the database is away."""

    async def standing(self) -> Standing:
        """Which notifier works."""
        ...

    async def figures(self, now: datetime) -> Sequence[ChannelFigures]:
        """What became of the notices, by channel."""
        ...

    async def page(
        self, wanted: NoticeFilter, limit: int, behind: NoticePlace | None = None
    ) -> Sequence[KeptNotice]:
        """At most `limit` of them, the newest first, that stand behind this place.

        Of a task they are the notices about it; without one, digests stand in the place of what is in them.
        """
        ...

    async def replay(
        self,
        now: datetime,
        *,
        ids: Sequence[str] | None = None,
        channel: str | None = None,
        upto: datetime | None = None,
    ) -> int:
        """Let what was given up be sent again; returns how many there are.

        None of them is of a channel that the notifier's file does not have. `upto`: given up until then.
        """
        ...

    async def replay_seen(self, seen: Sequence[GivenUp], now: datetime) -> Sequence[ReplayOutcome]:
        """Let these be sent again, each if it is still as it was seen; one outcome for each."""
        ...


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

    async def configure(self, kinds: Mapping[str, str]) -> None:
        """Record which channels there are, and of which kind."""
        ...

    async def start(self, now: datetime) -> Start:
        """Where to go on.

        What a predecessor was sending when it ended becomes due again, marked so; a digest does not.
        """
        ...

    async def record(self, step: Step) -> None:
        """Record a step in one transaction. A notice that its channel has already is not recorded twice."""
        ...

    async def next(self, channel: str, now: datetime, pull: Pull = ANY) -> Outgoing | None:
        """What is due first, marked as being sent; what is due together becomes one digest."""
        ...

    async def sent(self, one: Outgoing, now: datetime, posted: Posted | None = None) -> None:
        """Record that it was sent, and what became of it in a chat."""
        ...

    async def failed(
        self, one: Outgoing, now: datetime, why: str, again_at: datetime | None, *, unsure: bool = False
    ) -> None:
        """Record that it was not sent; None: it is given up. `unsure`: the next try is marked."""
        ...

    async def forget(self, before: datetime) -> None:
        """Forget what was finished before this time."""
        ...
