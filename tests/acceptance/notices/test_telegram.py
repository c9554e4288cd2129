"""From nothing to a message on the phone, as a user types it, with a Bot API on loopback."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.support.telegram.bot_api_server import ANN, TOKEN, USERNAME, FakeBotApi, serving_bot_api
from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually


async def invited(home: Home, path: Path, telegram: FakeBotApi) -> str:
    """Run `init --telegram`, and press Start in the chat of ann; what it said."""
    process = await asyncio.create_subprocess_exec(
        TOWPATH, "notifier", "init", path, "--telegram",
        env=home.env | {"TOWPATH_TELEGRAM_TOKEN": TOKEN, "TOWPATH_TELEGRAM_API": telegram.url},
        stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(DEADLINE):
        while (found := re.search(rf"https://t.me/{USERNAME}\?start=(\w+)", said)) is None:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()
        telegram.type("/start", user=666, name="mallory")
        telegram.type(f"/start {found[1]}")
        said += (await process.stderr.read()).decode()
        assert await process.wait() == 0, said
    return said


async def test_from_nothing_to_a_message_on_the_phone(home: Home) -> None:
    async with serving_bot_api() as telegram:
        path = home.path / "notify.toml"
        said = await invited(home, path, telegram)
        assert f"found the chat {ANN} (private)" in said
        assert len(telegram.updates) == 2  # what waits for a bot that takes commands still waits
        assert path.stat().st_mode & 0o777 == 0o600
        assert f"# id = {ANN}\n" in path.read_text()
        given = {
            "TOWPATH_NOTIFY": str(path),
            "TOWPATH_TELEGRAM_TOKEN": TOKEN,
            "TOWPATH_TELEGRAM_API": telegram.url,
        }
        sent = await asyncio.to_thread(home.run, "notifier", "test", "ops", **given)
        assert sent.returncode == 0, sent.stderr
        assert telegram.chat().said == [
            "Towpath has found this chat.", "test: the channel ops of Towpath works",
        ]  # fmt: skip
        path.write_text(path.read_text().replace('events = ["failed"', 'events = ["created", "failed"'))
        up: Up = home.up(**given, API_PUBLIC_BASE_URL="https://towpath.example")

        async def works() -> bool:
            done = await asyncio.to_thread(up.towpath, "doctor", **given)
            return "one works" in done.stdout

        await eventually(works, DEADLINE)
        task_id = await asyncio.to_thread(
            up.create, ["sh", "-c", "echo no space left; exit 1"], title="deploy shop"
        )
        await eventually(lambda: len(telegram.chat().messages) == 4, DEADLINE)
        *_, first, failed = telegram.chat().messages.values()
        assert [text.partition(":")[0] for text in first.texts] == ["created", "failed"]
        assert (failed.reply_to, failed.silent, first.silent) == (first.id, False, True)
        assert failed.text.startswith("failed: deploy shop (")
        assert failed.fixed == ["no space left"]
        assert failed.links == [f"https://towpath.example/console/tasks/{task_id}"]
        assert set(telegram.chats) == {ANN, 666}
        assert not telegram.chats[666].messages
        logs = "".join(one.read_text() for one in home.path.glob("*.err"))
        assert TOKEN.partition(":")[2] not in logs + said + sent.stderr


def test_init_for_telegram_says_what_is_missing(home: Home) -> None:
    path = home.path / "notify.toml"
    done = home.run("notifier", "init", path, "--telegram")
    assert done.returncode == 2
    assert "give --token-file, or set TOWPATH_TELEGRAM_TOKEN" in done.stderr
    done = home.run("notifier", "init", path, "--token-file", "x")
    assert (done.returncode, "is for --telegram" in done.stderr) == (2, True)
    assert not path.exists()
