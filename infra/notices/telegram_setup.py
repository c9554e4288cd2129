"""Finds the chat of a new channel: waits until somebody sends a code to the bot from there.

Without the code, the first person to write to the bot would be told what this installation does. Nothing is
acknowledged, so that a bot which takes commands still gets it all, as long as Telegram hands the newest over.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

from adapters.telegram.bot_api import UPDATES_AT_ONCE, BotApi, Me
from adapters.telegram.errors import BotApiError, Throttled, Unreachable
from adapters.telegram.updates import ChatMessage, Update

KINDS = ("message", "channel_post", "callback_query")
"""Also what a bot that takes commands asks for: Telegram keeps only what the last request named."""
WAIT_SECONDS = 10.0
AGAIN_SECONDS = 1.0
FOUND = "Towpath has found this chat."


class TooManyWaiting(BotApiError):
    """To read on would drop what waits for the bot."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody has to send from the chat; a link does so."""

    me: Me
    code: str

    @property
    def links(self) -> tuple[str, str]:
        """For a person, and for a group."""
        base = f"https://t.me/{self.me.username}"
        return f"{base}?start={self.code}", f"{base}?startgroup={self.code}"


async def invite(api: BotApi) -> Invitation:
    """A new code for this bot. Raises BotApiError."""
    return Invitation(await api.get_me(), secrets.token_hex(6))


async def wait_for_chat(api: BotApi, invitation: Invitation, seconds: float) -> ChatMessage | None:
    """The message with the code, answered there; None if it does not come in time. Raises BotApiError."""
    try:
        async with asyncio.timeout(seconds):
            found = await _poll(api, invitation)
    except TimeoutError:
        return None
    await api.send_message(found.chat.id, FOUND, reply_to=found.id, thread_id=found.thread_id, silent=True)
    return found


async def _poll(api: BotApi, invitation: Invitation) -> ChatMessage:
    while True:
        updates = list[Update]()
        pause = AGAIN_SECONDS
        try:
            updates = await api.get_updates(0, WAIT_SECONDS, kinds=KINDS)
        except Throttled as error:
            pause = error.retry_after
        except Unreachable:
            pass  # the deadline ends it
        for update in updates:
            if update.message is not None and _has(update.message.text, invitation.code):
                return update.message
        if len(updates) == UPDATES_AT_ONCE:  # the message with the code is behind them
            raise TooManyWaiting(
                f"{len(updates)} messages to the bot were never taken: start `towpath notifier` with a "
                "[[user]], which takes them, or make a bot of its own"
            )
        await asyncio.sleep(pause)


def _has(text: str, code: str) -> bool:
    """Whether it is the code, or `/start` with it; in groups, `/start@bot`."""
    words = text.split()
    return words[-1:] == [code] and (len(words) == 1 or (len(words) == 2 and words[0].startswith("/start")))
