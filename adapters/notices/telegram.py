"""Telegram: shows notices in a chat, one message a task, at the pace that Telegram allows.

Which message is edited and what is a new one is decided in `domain/notices/conversation.py`. An edit may be
done twice, so it comes before the new message, which may not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.notices.telegram_text import Text, edited_message, new_message
from adapters.telegram.bot_api import BASE_URL, BotApi, ChatId
from adapters.telegram.errors import BotApiError, MessageGone, Refused, Throttled, Unreachable
from adapters.telegram.pace import Pace
from domain.notices.conversation import NEW, Conversation, Plan, after, plan, topic_of
from domain.notices.message import Message
from domain.ports.chat import NoticeButtons
from domain.ports.notices import NotSent, Posted

MOST_DUE = 5
"""More than these at once are a digest: a chat takes one message a second, and a person fewer."""
_HINTS = {
    "chat not found": "that person has to press Start in the bot's chat, or the bot has to be in that group",
    "blocked by the user": "that person has to unblock the bot",
    "bot was kicked": "add the bot to that group again",
    "not enough rights": "let the bot write in that group",
    "thread not found": "the topic of `thread_id` is gone: make another, or leave `thread_id` out",
    "TOPIC_CLOSED": "the topic of `thread_id` is closed: open it again, or leave `thread_id` out",
}


@dataclass(frozen=True, slots=True)
class TelegramChat:
    """A chat as configured; `thread_id`: a topic of a forum."""

    token: str = field(repr=False)
    chat_id: ChatId
    thread_id: int | None = None
    base_url: str = BASE_URL


class TelegramSender:
    """Port `Sender`."""

    kind = "telegram"
    most_due: int | None = MOST_DUE

    def __init__(
        self, to: TelegramChat, api: BotApi, pace: Pace, buttons: NoticeButtons | None = None
    ) -> None:
        """`buttons`: of notices that people may act on, if a bot takes their presses."""
        self._to = to
        self._api = api
        self._pace = pace
        self._buttons = buttons

    @property
    def chat(self) -> str:
        """See the port."""
        return f"{self._to.chat_id}" + (f"/{self._to.thread_id}" if self._to.thread_id is not None else "")

    def pause(self) -> float:
        """See the port."""
        return self._pace.pause(self._to.chat_id)

    async def send(self, message: Message, before: Conversation = NEW) -> Posted:
        """See the port."""
        todo = plan(message, before)
        if todo.edit is not None:
            try:
                await self._edit(todo.edit, edited_message(message, todo.before.names, whole=not todo.send))
            except MessageGone:
                todo = todo.without_edit()
            except BotApiError as error:
                raise self._not_sent(error, unsure=False) from None
        sent = await self._send(todo, message) if todo.send else None
        shown = after(message, todo, sent)
        return Posted(self.chat, sent or todo.edit or 0, topic_of(message), shown)

    async def _edit(self, message_id: int, says: Text) -> None:
        await self._pace.turn(self._to.chat_id)
        await self._api.edit_message(self._to.chat_id, message_id, says.text, fixed=says.fixed)

    async def _send(self, todo: Plan, message: Message) -> int:
        says = new_message(message, todo.before.names)
        rows = await self._buttons.of(message) if self._buttons is not None else ()
        await self._pace.turn(self._to.chat_id)
        try:
            sent = await self._api.send_message(
                self._to.chat_id,
                says.text,
                buttons=rows,
                reply_to=todo.reply_to,
                silent=todo.silent,
                thread_id=self._to.thread_id,
                fixed=says.fixed,
            )
        except BotApiError as error:
            raise self._not_sent(error, unsure=isinstance(error, Unreachable) and error.sent) from None
        if self._buttons is not None:
            fixed = [(one.offset, one.length) for one in says.fixed]
            await self._buttons.shown(message, self._to.chat_id, sent, says.text, fixed)
        return sent

    def _not_sent(self, error: BotApiError, *, unsure: bool) -> NotSent:
        if isinstance(error, Throttled):
            self._pace.throttled(self._to.chat_id, error.retry_after)
            return NotSent(str(error), retry_after=error.retry_after)
        words = str(error)
        if isinstance(error, Refused):
            hint = next((hint for part, hint in _HINTS.items() if part in words), "")
            words = f"Telegram refuses it: {words}{f': {hint}' if hint else ''}"
        return NotSent(words, unsure=unsure)
