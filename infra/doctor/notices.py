"""Checks of the notifier, where one is configured: file, bots, whether it works, what it could not send."""

from __future__ import annotations

import asyncio
from pathlib import Path

from adapters.notices.chat_state import SqlChatState
from adapters.notices.history import SqlNoticeHistory
from adapters.notices.telegram import TelegramChat
from adapters.telegram.bot_api import BotApi
from adapters.telegram.errors import BotApiError, Unauthorized
from domain.errors import Busy
from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem, warning
from infra.notices.file import NotifyFile, NotifyFileError, load_notify_file
from infra.notices.notifier import open_notice_database
from infra.plural import counted

LATE_SECONDS = 60.0
LOOK_SECONDS = 0.1
_START = "start `towpath notifier`, or `towpath up` with TOWPATH_NOTIFY set; what is due is sent then"


async def notices(about: Examination) -> list[Finding]:
    """The file of TOWPATH_NOTIFY, a notifier that works, and notices that wait or were given up."""
    settings = about.settings
    if settings.notify is None:
        return []
    try:
        file = load_notify_file(settings)
    except NotifyFileError as error:
        advice = "mend the file; `towpath notifier check` looks at it again"
        return [problem("notifier", "; ".join(str(error).splitlines()), advice)]
    bots = await _bots(about, file)
    url = settings.notices_url
    if url.get_backend_name() == "sqlite" and not await asyncio.to_thread(Path(url.database or "").exists):
        return [*bots, problem("notifier", "none has ever worked here", _START)]
    engine = open_notice_database(settings)
    try:
        found = [*bots, *await _examined(about, SqlNoticeHistory(engine))]
        return [*found, *await _pollers(SqlChatState(engine, None))] if file.bots else found
    except Busy as error:
        return [*bots, problem("notifier", "its state cannot be read", error.detail)]
    finally:
        await engine.dispose()


async def _bots(about: Examination, file: NotifyFile) -> list[Finding]:
    """Bots of Telegram that do not answer, or do not exist (any more)."""
    channels = {
        (one.receiver.token, one.receiver.base_url): one.name
        for one in file.channels.values()
        if isinstance(one.receiver, TelegramChat)
    }
    findings = []
    for (token, base_url), name in channels.items():
        async with BotApi(token, base_url, answer_seconds=about.patience.asked_seconds) as api:
            try:
                await api.get_me()
            except Unauthorized as error:
                advice = "give the current token in the file of channels, then restart the notifier"
                findings.append(problem(f"channel {name}", f"Telegram: {error}", advice))
            except BotApiError as error:
                advice = "see whether this machine reaches TOWPATH_TELEGRAM_API; notices wait for a day"
                findings.append(warning(f"channel {name}", f"Telegram: {error}", advice))
    return findings


async def _examined(about: Examination, state: SqlNoticeHistory) -> list[Finding]:
    findings = []
    figures = await state.figures(about.now())
    for one in figures:
        late = (about.now() - one.oldest).total_seconds() if one.oldest is not None else 0.0
        if late > LATE_SECONDS:
            found = f"{counted(one.waiting, 'notice')} not sent, the first for {late:.0f} s"
            advice = f"see the notifier's log lines; `towpath notifier test {one.channel}` tries the receiver"
            findings.append(warning(f"channel {one.channel}", found, advice))
        if one.dead:
            advice = "see `towpath notifier dead`, then `towpath notifier replay --all`"
            found = f"{counted(one.dead, 'notice')} given up"
            findings.append(problem(f"channel {one.channel}", found, advice))
    if not await _works(about, state):
        return [*findings, problem("notifier", "none works", _START)]
    sent = sum(one.sent for one in figures)
    return [*findings, ok("notifier", f"one works; {counted(sent, 'notice')} sent so far")]


async def _works(about: Examination, state: SqlNoticeHistory) -> bool:
    """Whether a notifier raises its count."""
    seen = await state.standing()
    if seen.owner is None:
        return False
    deadline = asyncio.get_running_loop().time() + about.patience.asked_seconds
    while asyncio.get_running_loop().time() < deadline:
        if await state.standing() != seen:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def _pollers(state: SqlChatState) -> list[Finding]:
    """The bots of the chat, and why they receive nothing, where that is so."""
    findings = []
    for one in await state.standings():
        name = f"bot @{one.username}" if one.username else f"bot {one.bot_id}"
        if one.trouble is None:
            findings.append(ok(name, "it receives what people write"))
            continue
        since = f"since {one.trouble_since:%Y-%m-%d %H:%M:%SZ}" if one.trouble_since is not None else ""
        advice = (
            "one program may poll a bot: end the other one, or make one more bot; notices are sent meanwhile"
        )
        findings.append(warning(name, f"it receives nothing {since}: {one.trouble}", advice))
    return findings
