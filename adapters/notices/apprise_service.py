"""Apprise: sends notices by mail, Slack, ntfy and some hundred other services, each named by a URL.

Apprise is the extra `towpath[notify]`, and is imported only where a channel uses it. Its URLs hold passwords,
and what it logs may quote services: neither is passed on, except for the status that a service has answered.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.chat.text import JOINER, unlinked
from domain.notices.conversation import NEW, Conversation
from domain.notices.message import Message
from domain.notices.rules import RECOVERED
from domain.ports.notices import NotSent

if TYPE_CHECKING:
    import apprise

ANSWER_SECONDS = 30.0
"""Longer than for a webhook: a mail server takes its time."""
TITLE_CHARS = 200
_MISSING = "the package apprise is not installed: install towpath[notify]"
_FAILURES = frozenset({"failed", "submit-failed", "runner-lost", "dead-letter"})
_SUCCESSES = frozenset({"succeeded", RECOVERED})
_CALL = re.compile(r"(?<=<)(?=[!@#])")
"""What calls people in Slack and its kin: `<!channel>`."""
_STATUS = re.compile(r"\berror[=:] ?([45]\d\d)\b")


@dataclass(frozen=True, slots=True)
class AppriseUrl:
    """A checked URL of a service."""

    url: str = field(repr=False)


def check_apprise_url(url: str) -> AppriseUrl:
    """ValueError: Apprise is missing, or does not know what to do with the URL."""
    service(url.strip())
    return AppriseUrl(url.strip())


def service(url: str) -> apprise.Apprise:
    """The one service that the URL names. ValueError as `check_apprise_url`."""
    logging.getLogger("apprise").propagate = False  # it names URLs, and users
    try:
        import apprise
    except ImportError:
        raise ValueError(_MISSING) from None
    asset = apprise.AppriseAsset(app_id="Towpath", app_desc="Towpath", storage_mode="memory")
    found = apprise.Apprise(asset=asset)
    if "\n" in url or not found.add(url) or len(found) != 1:
        scheme = re.match(r"[A-Za-z0-9+.-]{1,32}(?=://)", url)
        what = f"what follows {scheme[0]}://" if scheme else "it"
        raise ValueError(f"Apprise cannot use {what}: its documentation lists services and their URLs")
    return found


class AppriseSender:
    """Port `Sender`."""

    kind, chat = "apprise", ""
    most_due: int | None = None

    def __init__(self, to: AppriseUrl, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._service = service(to.url)
        self._answer_seconds = answer_seconds

    def pause(self) -> float:
        """Services answer if they want less."""
        return 0.0

    async def send(self, message: Message, before: Conversation = NEW) -> None:
        """See the port."""
        from apprise import AppriseResultStatus, NotifyFormat

        title, _, body = _text(message).partition("\n")
        result = await self._service.async_notify(
            body=body or title,
            title=title[:TITLE_CHARS] if body else "",
            notify_type=_type(message),
            body_format=NotifyFormat.TEXT,
            interpret_escapes=False,
            timeout=self._answer_seconds,
        )
        if result.status == AppriseResultStatus.SUCCESS:
            return
        if result.status == AppriseResultStatus.TIMEOUT:
            raise NotSent(f"no answer within {self._answer_seconds:g} seconds", unsure=True)
        said = (entry.message for one in result for attempt in one for entry in attempt.logs)
        status = next((found[1] for text in said if (found := _STATUS.search(text))), None)
        words = f"the service answers {status}" if status else "the service did not take it"
        raise NotSent(words, unsure=status is None)


def _text(message: Message) -> str:
    """The notice with one link, to the console: nothing else becomes a link or calls anybody."""
    link = message.notice.links.console
    text = message.notice.text.removesuffix(f"\n{link}") if link else message.notice.text
    return _CALL.sub(JOINER, unlinked(text)) + (f"\n{link}" if link else "")


def _type(message: Message) -> str:
    """Apprise's word for how bad it is, which services show by a colour."""
    name = message.notice.name
    return "failure" if name in _FAILURES else "success" if name in _SUCCESSES else "info"
