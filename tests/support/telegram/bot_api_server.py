"""A fake Bot API: a real HTTP server on loopback, as strict as Telegram's where a bot can feel it.

It keeps chats, numbers updates, ends the older of two polls with 409, refuses what Telegram refuses, and can
be told to throttle, to be down, or to do a request and never answer it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.support.telegram.chats import FakeChat, SentMessage, buttons_of, read_text

TOKEN = "4711:AAtest-token_of-the-fake-bot-api-0123456789"
ANN = 815
USERNAME = "towpath_test_bot"


@dataclass(frozen=True)
class Call:
    """One request: when, by the loop's clock, and how it was answered (0: not at all)."""

    method: str
    given: Mapping[str, Any]
    at: float
    code: int


class Refusal(Exception):
    """An answer that is not `ok`."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code, self.parameters = code, parameters


class FakeBotApi:
    """What the server knows, and what a test does to it.

    `before` may refuse a call by raising Refusal; what `drop` is true of is done and never answered; `down`
    breaks every connection.
    """

    def __init__(self) -> None:
        self.token = TOKEN
        self.port = 0
        self.chats = {ANN: FakeChat(ANN)}
        self.calls: list[Call] = []
        self.updates: dict[int, dict[str, Any]] = {}
        self.presses: dict[str, tuple[str, bool] | None] = {}
        self.expired: set[str] = set()
        self.webhook = False
        self.down = False
        self.before: Callable[[str, Mapping[str, Any]], None] = lambda method, given: None
        self.drop: Callable[[str, Mapping[str, Any]], bool] = lambda method, given: False
        self._numbers = iter(range(100, 1 << 40))
        self._poll: asyncio.Event | None = None
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------------ what a test does

    def chat(self, id: int = ANN, **about: Any) -> FakeChat:
        """The chat with this id; made, if there is none."""
        return self.chats.setdefault(id, FakeChat(id, **about))

    def counted(self, *methods: str, code: int = 200) -> int:
        """How many calls of these methods were answered so."""
        return sum(1 for one in self.calls if one.method in methods and one.code == code)

    def type(
        self,
        text: str,
        *,
        user: int = ANN,
        name: str = "ann",
        chat: int | None = None,
        reply_to: int | None = None,
        thread_id: int | None = None,
    ) -> int:
        """A person types a message (in their own chat, if none is named); returns the update's id."""
        message: dict[str, Any] = {
            "message_id": next(self._numbers),
            "date": 0,
            "from": {"id": user, "is_bot": False, "first_name": name, "username": name},
            "chat": self.chat(chat or user).as_json(),
            "text": text,
        }
        if reply_to is not None:
            message["reply_to_message"] = {"message_id": reply_to}
        if thread_id is not None:
            message |= {"message_thread_id": thread_id, "is_topic_message": True}
        return self.happened({"message": message})

    def press(self, message: SentMessage, label: str, *, user: int = ANN, name: str = "ann") -> str:
        """A person presses the button with this label; returns the press's id, a key of `presses`."""
        (chat,) = (one for one in self.chats.values() if one.messages.get(message.id) is message)
        id = f"press-{next(self._numbers)}"
        self.presses[id] = None
        query = {
            "id": id,
            "from": {"id": user, "is_bot": False, "first_name": name, "username": name},
            "message": {"message_id": message.id, "date": 0, "chat": chat.as_json()},
            "chat_instance": "1",
            "data": message.buttons[label],
        }
        self.happened({"callback_query": query})
        return id

    def happened(self, update: Mapping[str, Any], id: int | None = None) -> int:
        """Anything else happens; with the id of an earlier update, that one comes again."""
        id = next(self._numbers) if id is None else id
        self.updates[id] = {"update_id": id, **update}
        self._arrived.set()
        return id

    # ------------------------------------------------------------------ methods

    async def _answer(self, method: str, given: dict[str, Any]) -> Any:
        self.before(method, given)
        found = getattr(self, f"_{method}", None)
        if found is None:
            raise Refusal(404, "Not Found: method not found")
        result = found(given)
        return await result if asyncio.iscoroutine(result) else result

    def _getMe(self, _: Mapping[str, Any]) -> Any:
        return {"id": 4711, "is_bot": True, "first_name": "Towpath", "username": USERNAME}

    def _deleteWebhook(self, given: Mapping[str, Any]) -> Any:
        assert not given.get("drop_pending_updates"), "pending updates are never dropped"
        self.webhook = False
        return True

    async def _getUpdates(self, given: Mapping[str, Any]) -> Any:
        if self.webhook:
            raise Refusal(
                409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook"
            )
        if self._poll is not None:
            self._poll.set()
        ended = self._poll = asyncio.Event()
        try:
            for id in [id for id in self.updates if id < given["offset"]]:
                del self.updates[id]
            deadline = asyncio.get_running_loop().time() + given["timeout"]
            while not self._wanted(given):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return []
                self._arrived.clear()
                waits = [asyncio.ensure_future(one.wait()) for one in (ended, self._arrived)]
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for one in waits:
                    one.cancel()
                if ended.is_set():
                    raise Refusal(409, "Conflict: terminated by other getUpdates request")
            return self._wanted(given)
        finally:
            if self._poll is ended:
                self._poll = None

    def _wanted(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        kinds = set(given["allowed_updates"])
        found = [one for _, one in sorted(self.updates.items()) if kinds & set(one)]
        return found[: given["limit"]]

    def _sendMessage(self, given: Mapping[str, Any]) -> Any:
        chat = self._chat(given)
        text, fixed, links = self._checked(read_text, given)
        reply = given.get("reply_parameters")
        if reply and reply["message_id"] not in chat.messages and not reply["allow_sending_without_reply"]:
            raise Refusal(400, "Bad Request: message to be replied not found")
        id = next(self._numbers)
        chat.messages[id] = SentMessage(
            id,
            [text],
            self._checked(buttons_of, given),
            reply["message_id"] if reply and reply["message_id"] in chat.messages else None,
            given.get("message_thread_id"),
            bool(given.get("disable_notification")),
            "force_reply" in given.get("reply_markup", {}),
            fixed,
            links,
        )
        return {"message_id": id, "date": 0, "chat": chat.as_json(), "text": text}

    def _editMessageText(self, given: Mapping[str, Any]) -> Any:
        chat = self._chat(given)
        message = chat.messages.get(given["message_id"])
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message.force_reply:
            raise Refusal(400, "Bad Request: message can't be edited")
        text, fixed, links = self._checked(read_text, given)
        buttons = self._checked(buttons_of, given)
        if (text, buttons) == (message.text, message.buttons):
            raise Refusal(
                400, "Bad Request: message is not modified: specified new message content is the same"
            )
        message.texts.append(text)
        message.buttons, message.fixed, message.links = buttons, fixed, links
        return {"message_id": message.id, "date": 0, "chat": chat.as_json(), "text": text}

    def _answerCallbackQuery(self, given: Mapping[str, Any]) -> Any:
        id = given["callback_query_id"]
        if id in self.expired or id not in self.presses:
            raise Refusal(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        self.presses[id] = (given.get("text", ""), bool(given.get("show_alert")))
        return True

    def _chat(self, given: Mapping[str, Any]) -> FakeChat:
        chat = self.chats.get(given["chat_id"])
        if chat is None:
            raise Refusal(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, migrate_to_chat_id=chat.moved_to)
        if chat.refuses is not None:
            raise Refusal(*chat.refuses)
        return chat

    @staticmethod
    def _checked(read: Callable[[Mapping[str, Any]], Any], given: Mapping[str, Any]) -> Any:
        try:
            return read(given)
        except ValueError as error:
            raise Refusal(400, f"Bad Request: {error}") from None

    # ------------------------------------------------------------------ HTTP

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if self.down:
                    return
                answer = await self._respond(first.split(" ")[1], body)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _respond(self, path: str, body: bytes) -> bytes | None:
        bot, method = path.lstrip("/").split("/")
        given = json.loads(body or b"{}")
        at = asyncio.get_running_loop().time()
        answer: dict[str, Any]
        try:
            if bot != f"bot{self.token}":
                raise Refusal(401, "Unauthorized")
            answer, code = {"ok": True, "result": await self._answer(method, given)}, 200
        except Refusal as refusal:
            code = refusal.code
            answer = {"ok": False, "error_code": code, "description": str(refusal)}
            answer |= {"parameters": refusal.parameters} if refusal.parameters else {}
        dropped = self.drop(method, given)
        self.calls.append(Call(method, given, at, 0 if dropped else code))
        if dropped:
            return None
        coded = json.dumps(answer).encode()
        head = f"HTTP/1.1 {code} x\r\ncontent-type: application/json\r\ncontent-length: {len(coded)}\r\n\r\n"
        return head.encode() + coded


def throttled(seconds: int) -> Refusal:
    """The answer to too many requests."""
    return Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


@asynccontextmanager
async def serving_bot_api() -> AsyncIterator[FakeBotApi]:
    """A Bot API until the end of the block."""
    fake = FakeBotApi()
    connections = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await fake.serve(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
