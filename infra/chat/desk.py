"""What messages and presses are answered with: one for each bot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from adapters.notices.chat_state import SqlChatState
from domain.chat.people import User
from infra.chat.acting import Acting
from infra.chat.calls import Calls
from infra.chat.reading import Reading
from infra.chat.sending import Sending
from infra.chat.strangers import Strangers


@dataclass(frozen=True, slots=True)
class Desk:
    """`users`: by their numbers on Telegram. `calls` makes a client that acts for one of them."""

    users: Mapping[int, User]
    calls: Calls
    state: SqlChatState
    sending: Sending
    reading: Reading
    acting: Acting
    strangers: Strangers
    clock: Callable[[], datetime]
