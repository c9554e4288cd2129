"""What doctor finds about the notifier: its file, whether one works, and what was not sent."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client
from pydantic import SecretStr

from adapters.notices.database import create_notice_tables
from adapters.notices.store import SqlNoticeState
from domain.notices.message import Message, Notice
from domain.ports.notices import Placed, Step
from infra.config.settings import Settings
from infra.doctor.examination import Patience, examining
from infra.doctor.finding import Finding
from infra.doctor.notices import notices
from infra.nats.embedded_server import EmbeddedNats
from infra.notices.example import example, telegram_example
from infra.notices.notifier import open_notice_database
from tests.support.messages import now
from tests.support.telegram.bot_api_server import ANN, TOKEN, serving_bot_api

PATIENT = Patience(asked_seconds=60.0)
IMPATIENT = Patience(asked_seconds=0.2)


@pytest.fixture
def settings(nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path) -> Settings:
    path = tmp_path / "notify.toml"
    path.write_text(example())
    path.chmod(0o600)
    (tmp_path / "data").mkdir()
    return Settings(
        nats_url=nats_server.url,
        nats_user=nats_server.control.user,
        nats_password=SecretStr(nats_server.control.password or ""),
        data_dir=tmp_path / "data",
        notify=path,
    )


async def examined(settings: Settings, connection: Client, patience: Patience = IMPATIENT) -> list[Finding]:
    async with examining(settings, connection, now, patience) as about:
        found = await notices(about)
    assert all(finding.advice for finding in found if finding.state != "ok")
    return found


async def test_without_a_file_there_is_nothing_to_look_at(settings: Settings, js_connection: Client) -> None:
    assert await examined(settings.model_copy(update={"notify": None}), js_connection) == []


async def test_faults_of_the_file(settings: Settings, js_connection: Client) -> None:
    assert settings.notify is not None
    settings.notify.chmod(0o644)
    (finding,) = await examined(settings, js_connection)
    assert finding.state == "problem"
    assert "chmod 600" in finding.found


async def test_a_bot_that_is_gone_or_away(settings: Settings, js_connection: Client) -> None:
    assert settings.notify is not None
    async with serving_bot_api() as telegram:
        settings.notify.write_text(telegram_example(f'token = "{TOKEN}"', ANN))
        settings = settings.model_copy(update={"telegram_api": telegram.url})
        assert len(await examined(settings, js_connection, PATIENT)) == 1
        telegram.token = "4712:other"
        bot, _ = await examined(settings, js_connection, PATIENT)
        assert (bot.check, bot.state) == ("channel ops", "problem")
        assert "no bot with this token" in bot.found
        telegram.down = True
        bot, _ = await examined(settings, js_connection, PATIENT)
        assert bot.state == "warning"
        assert TOKEN not in bot.found + str(bot.advice)


async def test_none_has_ever_worked(settings: Settings, js_connection: Client) -> None:
    (finding,) = await examined(settings, js_connection)
    assert (finding.state, finding.found) == ("problem", "none has ever worked here")
    assert not (settings.data_dir / "notices.db").exists()


async def test_one_that_works_and_what_it_could_not_send(settings: Settings, js_connection: Client) -> None:
    engine = open_notice_database(settings)
    try:
        await create_notice_tables(engine)
        state = SqlNoticeState(engine, "one")
        (finding,) = await examined(settings, js_connection)
        assert (finding.state, finding.found) == ("problem", "none works")
        assert await state.take(await state.standing())
        (finding,) = await examined(settings, js_connection)
        assert finding.found == "none works"  # it has ended without a word, and beats no more

        async def beating() -> None:
            while True:
                await state.beat()
                await asyncio.sleep(0.05)

        working = asyncio.create_task(beating())
        try:
            (finding,) = await examined(settings, js_connection, PATIENT)
            assert (finding.state, finding.found) == ("ok", "one works; 0 notices sent so far")
            long_ago = now() - timedelta(hours=1)
            for id in ("gone", "late"):
                notice = Notice(name="failed", text="failed: x")
                message = Message(id=id, type="t", subject="t", at=long_ago, notice=notice)
                placed = Placed("ops", message, "failed", "", "", long_ago, long_ago, False, False)
                await state.record(Step(notices=[placed]))
            one = await state.next("ops", now())
            assert one is not None
            await state.failed(one, now(), "it answers 410", None)
            late, dead, ok = await examined(settings, js_connection, PATIENT)
        finally:
            working.cancel()
        assert (late.check, late.state) == ("channel ops", "warning")
        assert late.found.startswith("1 notice not sent, the first for 3")
        assert (dead.state, dead.found) == ("problem", "1 notice given up")
        assert ok.state == "ok"
    finally:
        await engine.dispose()
