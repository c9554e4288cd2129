"""Pace: when a bot may send to a chat, by Telegram's limits and by what it answers.

One message a second to a chat, 20 a minute to a group, 30 a second in all. Edits count as messages. All who
send for one bot share its pace.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from adapters.telegram.bot_api import ChatId


@dataclass(frozen=True, slots=True)
class Limits:
    """So many requests in so many seconds: a little slower than allowed, as requests do not travel evenly."""

    chat_seconds: float = 1.05
    group_requests: int = 20
    group_seconds: float = 61.0
    bot_requests: int = 30
    bot_seconds: float = 1.05


class Pace:
    """Of one bot."""

    def __init__(self, limits: Limits = Limits(), clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._all = deque[float](maxlen=limits.bot_requests)
        self._sent: dict[ChatId, deque[float]] = {}
        self._quiet_until: dict[ChatId, float] = {}

    def pause(self, chat_id: ChatId) -> float:
        """Seconds until the next request to this chat may go out; 0: now."""
        now, limits = self._clock(), self._limits
        sent = self._sent.get(chat_id) or deque[float]()
        free = [now, self._quiet_until.get(chat_id, now)]
        if sent:
            free.append(sent[-1] + limits.chat_seconds)
        if _is_group(chat_id) and len(sent) == limits.group_requests:
            free.append(sent[0] + limits.group_seconds)
        if len(self._all) == limits.bot_requests:
            free.append(self._all[0] + limits.bot_seconds)
        return max(free) - now

    async def turn(self, chat_id: ChatId) -> None:
        """Wait until a request to this chat may go out, and count it."""
        while (pause := self.pause(chat_id)) > 0:  # noqa: ASYNC110  others may have had their turn
            await asyncio.sleep(pause)
        now = self._clock()
        self._all.append(now)
        self._sent.setdefault(chat_id, deque(maxlen=self._limits.group_requests)).append(now)

    def throttled(self, chat_id: ChatId, retry_after: float) -> None:
        """Telegram wants nothing for this chat for so many seconds."""
        until = self._clock() + retry_after
        self._quiet_until[chat_id] = max(until, self._quiet_until.get(chat_id, until))


def _is_group(chat_id: ChatId) -> bool:
    return isinstance(chat_id, str) or chat_id < 0
