"""How a request to the Bot API can fail. No text here holds a URL, since that holds the token."""

from __future__ import annotations


class BotApiError(Exception):
    """A request failed; the text says why, in words for people."""


class Throttled(BotApiError):
    """Too many requests; `retry_after` in seconds is how long to send nothing."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many requests: it wants none for {retry_after:g} seconds")
        self.retry_after = retry_after


class Conflict(BotApiError):
    """Another program polls this bot, or a webhook is set for it (`webhook`), which polling needs gone."""

    def __init__(self, why: str, *, webhook: bool) -> None:
        super().__init__(why)
        self.webhook = webhook


class Refused(BotApiError):
    """It refuses this request, and will do so again: the chat is gone, or the bot was blocked, for example.

    `moved_to`: the group is now a supergroup with this id.
    """

    def __init__(self, why: str, moved_to: int | None = None) -> None:
        super().__init__(why)
        self.moved_to = moved_to


class MessageGone(Refused):
    """The message was deleted, or cannot be edited (any more)."""


class Unauthorized(BotApiError):
    """There is no bot with this token."""


class Unreachable(BotApiError):
    """No answer, or none that can be read: try again later.

    `sent`: the request may have been carried out all the same.
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent
