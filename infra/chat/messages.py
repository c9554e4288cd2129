"""What people write: commands, and replies to a message that waits for one.

Only a message that a person of the file wrote here counts: not an edited one, none that was forwarded, and
none of a channel, of an anonymous administrator or of another bot.
"""

from __future__ import annotations

from adapters.telegram.updates import ChatMessage
from domain.chat.cards import Card, refusal
from domain.chat.commands import COMMANDS, Command, parse
from domain.chat.people import OPERATOR, User
from domain.chat.text import inert
from infra.chat.answers import Answer, answer
from infra.chat.calls import failure
from infra.chat.desk import Desk
from towpath_client import AsyncClient, TowpathError

PRIVATE, CHANNEL = "private", "channel"


class Messages:
    """Answers messages."""

    def __init__(self, bot_name: str, desk: Desk) -> None:
        self._bot_name = bot_name
        self._desk = desk

    async def take(self, message: ChatMessage, update_id: int) -> None:
        """Do what the message wants. Raises Closing, before or after it is done."""
        sender, private = message.sender, message.chat.kind == PRIVATE
        if sender is None or message.forwarded or message.chat.kind == CHANNEL:
            return
        user = self._desk.users.get(sender.id)
        command = parse(message.text, self._bot_name)
        if user is None:
            if private or command is not None:
                self._desk.strangers.came(sender, self._desk.clock())
            return
        said = await self._answer(message, user, command, update_id)
        if said is not None:
            await self._desk.sending.send(
                message.chat.id,
                said,
                reply_to=None if private and not said.force_reply else message.id,
                thread_id=message.thread_id,
            )

    async def _answer(
        self, message: ChatMessage, user: User, command: Command | None, update_id: int
    ) -> Answer | None:
        try:
            api = await self._desk.calls.of(user)
            if command is None:
                return await self._reply(api, message, user)
            if not command.known:
                own = command.addressed or message.chat.kind == PRIVATE
                return answer(f"there is no /{command.name}\n{_help(user)}") if own else None
            key = f"telegram {self._desk.state.bot_id} {update_id} {message.chat.id} {message.id}"
            return await self._command(api, user, command, key)
        except TowpathError as error:
            return answer(failure(error))

    async def _command(self, api: AsyncClient, user: User, command: Command, key: str) -> Answer:
        reading, acting, first = self._desk.reading, self._desk.acting, command.first()
        match command.name:
            case "tasks":
                return await reading.tasks(api, command.rest[:200], 0)
            case "task":
                return await reading.task(api, user, first)
            case "why":
                return await reading.why(api, first)
            case "log":
                return await reading.log(api, first)
            case "locks":
                return await reading.locks(api, first)
            case "runners":
                return await reading.runners(api)
            case "run":
                return await acting.run(api, user, command, key)
            case "cancel":
                return await acting.cancel(api, user, first)
            case "release":
                return await acting.release(api, user, first, command.after_first())
        return answer(f"{_help(user)}\n\n{acting.recipes_of(user)}")

    async def _reply(self, api: AsyncClient, message: ChatMessage, user: User) -> Answer | None:
        card = None
        if message.reply_to is not None:
            card = await self._desk.state.card_shown_by(message.chat.id, message.reply_to)
        text = message.text.strip()
        if card is None or card.kind not in ("question", "reason"):
            return answer("send /help for what there is") if message.chat.kind == PRIVATE else None
        if (no := refusal(card, user, OPERATOR)) is not None:
            return answer(no)
        if not text:
            return answer("reply with text")
        if card.kind == "reason":
            return await self._reason(api, user, card, text)
        return await self._free_text(api, user, card, text)

    async def _reason(self, api: AsyncClient, user: User, card: Card, reason: str) -> Answer:
        if card.is_over(self._desk.clock()):
            return answer("that was asked too long ago: send /release again")
        return await self._desk.acting.release(api, user, card.task_id, reason, card)

    async def _free_text(self, api: AsyncClient, user: User, card: Card, text: str) -> Answer:
        same = [one for one in card.options if one.casefold() == text.casefold()]
        if not same and not card.data.get("free_text"):
            return answer("press one of the buttons: this question takes no other answer")
        choice = same[0] if same else None
        outcome = await self._desk.acting.answered(api, user, card, choice, None if same else text)
        await self._desk.sending.end(card, card.outcome or outcome)
        return answer(outcome)


def _help(user: User) -> str:
    lines = [
        f"/{name} {usage.arguments}".rstrip() + f": {usage.words}"
        for name, usage in COMMANDS.items()
        if user.may(usage.role)
    ]
    return "\n".join([f"You are {inert(user.name)}, {user.role}.", *lines])
