"""What a message in Telegram says: the notice in at most 4,096 UTF-16 units, with one link: to the console.

The output's last lines are shown as they are, to be copied; in all other text of tasks, what Telegram would
make a link is broken. Where it is too long, the output loses its first lines, then `why` is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.telegram.bot_api import Fixed
from domain.chat.text import MOST_UNITS, cut, units, unlinked
from domain.notices.message import AGAIN, Message, Notice
from domain.validation.outside_text import MORE

MOST_HEADLINE, MOST_WHY, MOST_BY = 700, 2000, 300


@dataclass(frozen=True, slots=True)
class Text:
    """The text, and the part of it that is shown as it is."""

    text: str
    fixed: tuple[Fixed, ...] = ()


def new_message(message: Message, names: tuple[str, ...]) -> Text:
    """All that a new message says; `names`: what was told about the same before."""
    notice = message.notice
    mark = AGAIN if notice.again else ""
    if notice.task is None and not notice.why:  # a digest, a test, or what has its headline alone
        return Text(cut(mark + unlinked(notice.text.removeprefix(AGAIN)), MOST_UNITS))
    return _text(mark, notice, names, whole=True)


def edited_message(message: Message, names: tuple[str, ...], *, whole: bool) -> Text:
    """What the edited message says; not `whole`: a message of its own has the rest."""
    return _text("", message.notice, names, whole=whole)


def _text(mark: str, notice: Notice, names: tuple[str, ...], *, whole: bool) -> Text:
    head = [mark + cut(unlinked(notice.headline), MOST_HEADLINE)]
    if notice.why and whole:
        head.append(cut(unlinked(notice.why), MOST_WHY))
    tail = [f"by {cut(unlinked(notice.by), MOST_BY)}"] if notice.by and whole else []
    if names:
        tail.append(" → ".join((*names, notice.name)))
    tail += [notice.links.console] if notice.links.console else []
    left = MOST_UNITS - sum(units(line) + 1 for line in (*head, *tail))
    lines = _last(notice.last_lines, left) if whole else ""
    begin = units("\n".join(head)) + 1
    fixed = (Fixed(begin, units(lines)),) if lines.strip() else ()
    return Text(cut("\n".join([*head, *([lines] if fixed else []), *tail]), MOST_UNITS), fixed)


def _last(lines: list[str], most: int) -> str:
    """As many of the last lines as fit."""
    kept, left = list[str](), most
    for line in reversed(lines):
        size = units(line) + 1
        if size > left:
            rest = cut(line, left - 1 - units(MORE)) if not kept else ""
            return "\n".join([f"{MORE}{rest}" if rest else MORE, *reversed(kept)]) if left > 1 else ""
        kept.append(line)
        left -= size
    return "\n".join(reversed(kept))
