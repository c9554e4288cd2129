"""Makes the senders of channels, by kind. Channels of one bot share its connections and its pace."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack

from adapters.notices.apprise_service import AppriseSender, AppriseUrl
from adapters.notices.telegram import TelegramChat, TelegramSender
from adapters.notices.webhook import WebhookSender, webhook_client
from adapters.telegram.bot_api import BotApi
from adapters.telegram.pace import Pace
from domain.ports.chat import NoticeButtons
from domain.ports.notices import Sender
from infra.notices.channels import Receiver


class Senders:
    """`async with` closes the connections."""

    def __init__(self) -> None:
        self._webhooks = webhook_client()
        self._bots: dict[tuple[str, str], tuple[BotApi, Pace]] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Senders:
        await self._open.enter_async_context(self._webhooks)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def sender(
        self, receiver: Receiver, buttons: Mapping[tuple[str, str], NoticeButtons] | None = None
    ) -> Sender:
        """The sender of a channel. `buttons`: below the notices of a bot, by its token and base URL."""
        if isinstance(receiver, TelegramChat):
            key = (receiver.token, receiver.base_url)
            return TelegramSender(receiver, *self.bot(*key), (buttons or {}).get(key))
        if isinstance(receiver, AppriseUrl):
            return AppriseSender(receiver)
        return WebhookSender(receiver, self._webhooks)

    def bot(self, token: str, base_url: str) -> tuple[BotApi, Pace]:
        """The client of a bot, and the pace that all who send for it keep."""
        key = (token, base_url)
        if key not in self._bots:
            self._bots[key] = BotApi(token, base_url), Pace()
            self._open.push_async_callback(self._bots[key][0].close)
        return self._bots[key]
