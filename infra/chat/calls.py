"""Calls of Towpath's API for people: a client for each, and what to say where a call fails."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from domain.actors import shown_actor
from domain.chat.people import VIEWER, User
from domain.chat.text import inert, one_line
from towpath_client import AsyncClient, NotTowpath, Problem, TowpathError, Unanswered

CALL_SECONDS = 10.0
WORDS_UNITS = 600


class Calls:
    """The API at `url`; `token` is marked `+behalf`, or the API has no tokens."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token
        self._open: dict[User | None, AsyncClient] = {}
        self._stack = AsyncExitStack()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def of(self, user: User | None) -> AsyncClient:
        """The client that acts for `user`, with no more than their role; None: the bot, which looks only."""
        if user not in self._open:
            client = AsyncClient(
                self._url,
                self._token or "",
                timeout=CALL_SECONDS,
                on_behalf_of=user.on_behalf_of if user is not None else None,
                role=user.role if user is not None else VIEWER,
            )
            self._open[user] = await self._stack.enter_async_context(client)
        return self._open[user]


def failure(error: TowpathError) -> str:
    """What a failed call means to the person who wanted it."""
    if isinstance(error, Problem):
        return _PROBLEMS.get(error.code, one_line(error.detail, WORDS_UNITS))
    if isinstance(error, Unanswered):
        return "no answer came in time, so it may have been done or not: look at the task"
    if isinstance(error, NotTowpath):
        return "what answers is not Towpath's API: its operator sees why with `towpath doctor`"
    return "Towpath's API cannot be reached now: nothing was done, try again"


_PROBLEMS = {
    "not-on-behalf": "the bot's own token may not act for people: mark it `+behalf` in TOWPATH_API_TOKENS",
    "unauthorised": "the API does not know the bot's token (TOWPATH_TOKEN of the notifier)",
}


def given_before(error: Problem) -> str:
    """Who answered before, and what: of a problem `already-answered`."""
    extra: dict[str, Any] = error.extra
    answer = extra.get("choice") if extra.get("choice") is not None else extra.get("text")
    return f"{short_actor(str(extra.get('by')))} answered `{one_line(str(answer), 200)}`"


def short_actor(actor: str) -> str:
    """The most telling part of an actor: `alice`."""
    return inert(shown_actor(actor).split(" (")[0])
