"""Text as Telegram shows it: counted in UTF-16 units, and kept from becoming links.

Telegram makes commands, mentions, tags, addresses and numbers in a plain text into links by itself. A word
joiner, which is drawn as nothing, after the character that it looks for prevents that.
"""

from __future__ import annotations

import re
import unicodedata

MOST_UNITS = 4096
MORE = "…"
JOINER = "\u2060"
_STARTS = re.compile(
    r"(?<=[/@#$＠＃])(?=\w)"  # commands, mentions, mail addresses, tags
    r"|(?<=\w)(?=://)"  # links: broken before what makes them one
    r"|(?<=\w\.)(?=\w)"  # hosts and IP addresses without a scheme
    r"|(?<=\+)(?=\d)"  # telephones
)
_JOINS = "\u200d"


def units(text: str) -> int:
    """The length of `text` as Telegram counts it."""
    return len(text) + sum(1 for char in text if char > "\uffff")


def unlinked(text: str) -> str:
    """`text`, none of which becomes a link; it looks the same."""
    return _STARTS.sub(JOINER, text)


def cut(text: str, most: int) -> str:
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
