"""Text of answers: plain, bounded as Telegram counts, and without what a client would turn into a link.

Telegram counts UTF-16 code units, so an emoji counts twice. Clients make links of addresses, mentions,
hashtags and commands in plain text, too. An invisible word joiner after the sign keeps text of tasks from
becoming one: no person is called, and no tap sends a command.
"""

from __future__ import annotations

import re
import unicodedata

from domain.validation.outside_text import MORE, REPLACEMENT, STEERING

MOST_UNITS = 4096
JOINER = "\u2060"
_STARTS = re.compile(
    r"(?<=[/@#$＠＃])(?=\w)"  # commands, mentions, mail addresses, tags
    r"|(?=://)"  # links: broken before what makes them one
    r"|(?<=\.)(?=[\w~-]|[^\x00-\x7f\s\u2060])"  # hosts, of emoji too, and IP addresses without a scheme
    r"|(?<=\+)(?=\d)"  # telephones
)
_JOINS = "\u200d"
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def unlinked(text: str) -> str:
    """`text`, none of which becomes a link; it looks the same."""
    return _STARTS.sub(JOINER, text)


def cut(text: str, most: int = MOST_UNITS) -> str:
    """`text` in at most `most` units; with `…` where something was left out, at a space if one is near."""
    if units(text) <= most:
        return text
    if most < 1:
        return ""
    left, end = most - 1, 0
    while end < len(text) and (size := 2 if text[end] > "\uffff" else 1) <= left:
        left, end = left - size, end + 1
    while end and (_joined(text[end]) or text[end - 1] == _JOINS):
        end -= 1  # the parts of one character stay together
    space = max(text.rfind(" ", 0, end), text.rfind("\n", 0, end))
    if space > end * 0.8:
        end = space
    return text[:end].rstrip() + MORE


def _joined(char: str) -> bool:
    """Whether it belongs to the character before it."""
    return char == _JOINS or "\ufe00" <= char <= "\ufe0f" or bool(unicodedata.combining(char))


def last_lines(text: str, most_lines: int, most: int) -> str:
    """The last lines of `text`, and of those the end that has at most `most` code units."""
    kept = "\n".join(text.rstrip().splitlines()[-most_lines:])
    if units(kept) <= most:
        return kept
    left, begin = most - units(MORE), len(kept)
    while begin > 0 and left >= units(kept[begin - 1]):
        begin -= 1
        left -= units(kept[begin])
    return MORE + kept[begin:]


def inert(text: str) -> str:
    """`text` of others for a message: no control characters, and nothing that becomes a link."""
    return unlinked(STEERING.sub(REPLACEMENT, text))


def printed(output: str) -> str:
    """Output of a program without colours, line by line; other control characters are replaced."""
    lines = _COLOURS.sub("", output).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(STEERING.sub(REPLACEMENT, line) for line in lines)


def one_line(text: str, most: int) -> str:
    """`inert` on one line, at most `most` code units."""
    return cut(inert(" ".join(text.split())), most)


def age(seconds: float) -> str:
    """A length of time for people: `12s`, `5m`, `3h 5m`, `2d 4h`."""
    whole = max(int(seconds), 0)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m" if minutes else f"{whole}s"
