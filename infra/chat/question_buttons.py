"""Buttons below the notice of a question: one for each choice; free text is a reply to the message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from adapters.notices.chat_state import SqlChatState
from domain.chat.cards import Card, Shown, choice_rows
from domain.notices.message import Message
from infra.chat.answers import new_card_id
from infra.chat.sending import buttons

ASKED = "asked"


class QuestionButtons:
    """Port `NoticeButtons`: a question has one card, however often and in however many chats it is told."""

    def __init__(
        self, state: SqlChatState, on_shown: Callable[[Card], None], clock: Callable[[], datetime]
    ) -> None:
        self._state = state
        self._on_shown = on_shown
        self._clock = clock

    async def of(self, message: Message) -> Sequence[Sequence[tuple[str, str]]]:
        """See the port."""
        card = await self._card(message)
        return buttons(card, choice_rows(card.options)) or () if card is not None else ()

    async def shown(
        self,
        message: Message,
        chat_id: int | str,
        message_id: int,
        text: str,
        fixed: Sequence[tuple[int, int]] = (),
    ) -> None:
        """See the port."""
        card = await self._card(message)
        if card is not None:
            await self._state.shown(card.id, Shown(chat_id, message_id, text, tuple(fixed)))
            self._on_shown(card)

    async def _card(self, message: Message) -> Card | None:
        if message.notice.name != ASKED or message.notice.task is None:
            return None
        asked = message.data
        card = Card(
            id=new_card_id(),
            kind="question",
            task_id=message.notice.task.id,
            attempt=asked["attempt"],
            question_id=asked["question_id"],
            options=tuple(asked["choices"] or ()),
            data={"free_text": asked["free_text"], "text": asked["text"]},
        )
        return await self._state.question(card, self._clock())
