"""Text of answers: plain, bounded as Telegram counts, and without what a client would turn into a link.

Telegram counts UTF-16 code units, so an emoji counts twice. Clients make links of addresses, mentions,
hashtags and commands in plain text, too. An invisible word joiner after the sign keeps text of tasks from
becoming one: nobody is called, and no tap sends a command.
"""

from __future__ import annotations

import re

from domain.validation.outside_text import MORE, REPLACEMENT, STEERING

MOST_UNITS = 4096
JOINER = "\u2060"
_LINKS = re.compile(r"(?<!\w)[@#/$+](?=\w)|(?<=\w)(?:://|[.@])(?=\w)")
"""Signs that begin a mention, a tag, a command or a telephone number, or that stand inside of an address."""

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def fitted(text: str, most: int = MOST_UNITS) -> str:
    """The beginning of `text`, at most `most` code units; a cut text ends with an ellipsis."""
    if units(text) <= most:
        return text
    left, end = most - units(MORE), 0
    for end, char in enumerate(text):  # noqa: B007 - used after the loop
        left -= units(char)
        if left < 0:
            break
    return text[:end] + MORE


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
    return _LINKS.sub(lambda found: found[0] + JOINER, STEERING.sub(REPLACEMENT, text))


def printed(output: str) -> str:
    """Output of a program without colours, line by line; other control characters are replaced."""
    lines = _COLOURS.sub("", output).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(STEERING.sub(REPLACEMENT, line) for line in lines)


def one_line(text: str, most: int) -> str:
    """`inert` on one line, at most `most` code units."""
    return fitted(inert(" ".join(text.split())), most)


def age(seconds: float) -> str:
    """A length of time for people: `12s`, `5m`, `3h 5m`, `2d 4h`."""
    whole = max(int(seconds), 0)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days}d {hours}h" if hours else f"{days}d"
    if hours:
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{minutes}m" if minutes else f"{whole}s"
