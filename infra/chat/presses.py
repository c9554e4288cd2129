"""What people press: first the effect, then Telegram's acknowledgement, then the message says what happened.

A press that Telegram delivers again, since the bot ended in between, does the same again: the API takes an
answer twice, and refuses what is no longer as the button said.
"""

from __future__ import annotations

from adapters.telegram.updates import Press
from domain.chat.cards import Card, Shown, chosen, pressed, refusal
from domain.chat.people import OPERATOR, VIEWER, User
from infra.chat import words
from infra.chat.answers import Answer, answer
from infra.chat.calls import failure
from infra.chat.desk import Desk
from towpath_client import AsyncClient, TowpathError

UNKNOWN = "this button is too old: send the command again"
_LOOKS = ("why", "log")


class Presses:
    """Does what buttons say."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take(self, press: Press) -> None:
        """Do what the button says, if the person may. Raises Closing, before or after it is done."""
        user = self._desk.users.get(press.sender.id)
        if user is None:
            self._desk.strangers.came(press.sender, self._desk.clock())
            return
        card_id, action = pressed(press.data)
        card = await self._desk.state.card(card_id)
        if card is None:
            await self._desk.sending.acknowledge(press.id, UNKNOWN, alert=True)
            return
        role = VIEWER if card.kind == "pages" or action in _LOOKS else OPERATOR
        if (no := refusal(card, user, role)) is not None:
            await self._desk.sending.acknowledge(press.id, no, alert=True)
            return
        try:
            said = await self._do(await self._desk.calls.of(user), user, card, action, press)
        except TowpathError as error:
            await self._desk.sending.acknowledge(press.id, failure(error), alert=True)
            return
        if isinstance(said, Answer) and press.chat is not None:
            await self._desk.sending.acknowledge(press.id)
            await self._desk.sending.send(press.chat.id, said, reply_to=press.message_id)

    async def _do(self, api: AsyncClient, user: User, card: Card, action: str, press: Press) -> Answer | None:
        if card.kind == "pages":
            number = int(action[1:]) if action[1:].isdigit() else 0
            page = await self._desk.reading.tasks(api, card.data["filter"], number, card)
            await self._desk.sending.acknowledge(press.id)
            await self._desk.sending.show(card, page)
            return None
        if card.kind == "task":
            return await self._about_task(api, user, card, action)
        outcome: str | Answer | None = card.outcome
        if outcome is None:
            outcome = await self._outcome(api, user, card, action)
        if outcome is None:
            await self._desk.sending.acknowledge(press.id, UNKNOWN, alert=True)
            return None
        if isinstance(outcome, Answer):
            return outcome
        await self._desk.sending.acknowledge(press.id, outcome)
        await self._remember(card, press)
        await self._desk.sending.end(card, outcome)
        return None

    async def _outcome(self, api: AsyncClient, user: User, card: Card, action: str) -> str | Answer | None:
        """What happened, in words; an answer: it is not known; None: the card has no such button."""
        if card.kind == "question":
            choice = chosen(card, action)
            return None if choice is None else await self._desk.acting.answered(api, user, card, choice, None)
        if card.kind not in ("cancel", "release") or action not in ("yes", "no"):
            return None
        if action == "no":
            return "nothing was done"
        if card.is_over(self._desk.clock()):
            return words.over(card, await api.get(card.task_id), self._desk.clock())
        return await self._desk.acting.confirmed(api, user, card)

    async def _about_task(self, api: AsyncClient, user: User, card: Card, action: str) -> Answer:
        match action:
            case "why":
                return await self._desk.reading.why(api, card.task_id)
            case "log":
                return await self._desk.reading.log(api, card.task_id)
            case "cancel":
                return await self._desk.acting.cancel(api, user, card.task_id)
            case "release":
                return await self._desk.acting.release(api, user, card.task_id, "")
        return answer(UNKNOWN)

    async def _remember(self, card: Card, press: Press) -> None:
        """A message that was sent just before a crash is not known to show its card; the press tells it."""
        if press.chat is None or press.message_id is None:
            return
        places = await self._desk.state.places(card.id)
        if any((one.chat_id, one.message_id) == (press.chat.id, press.message_id) for one in places):
            return
        text = places[0].text if places else str(card.data.get("text") or card.kind)
        await self._desk.state.shown(card.id, Shown(press.chat.id, press.message_id, text))
