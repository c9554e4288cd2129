"""Port of the chat bot: buttons below notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.notices.message import Message


class NoticeButtons(Protocol):
    """Buttons below a message, for channels that have buttons, and who must know where they are shown.

    Both methods raise Busy and Superseded as `NoticeState` does.
    """

    async def of(self, message: Message) -> Sequence[Sequence[tuple[str, str]]]:
        """Rows of buttons, of what each shows and what it sends; () for a message without."""
        ...

    async def shown(
        self,
        message: Message,
        chat_id: int | str,
        message_id: int,
        text: str,
        fixed: Sequence[tuple[int, int]] = (),
    ) -> None:
        """It was sent as `text`. `fixed`: parts that are shown as they are, as offset and length."""
        ...
