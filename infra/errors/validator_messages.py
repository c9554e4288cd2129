"""Messages of validators, worded for the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = (
    (r"Value error, ", ""),
    (r"Input should be a valid integer\b[^;\n]*", "give a whole number"),
    (r"Input should be a valid number\b[^;\n]*", "give a number"),
    (r"Input should be a valid boolean\b[^;\n]*", "give true or false"),
    (r"Input should be greater than or equal to (\S+)", r"give at least \1"),
    (r"Input should be less than or equal to (\S+)", r"give at most \1"),
    (r"Input should be greater than (\S+)", r"give more than \1"),
    (r"Input should be less than (\S+)", r"give less than \1"),
    (
        r"String should match pattern '\^\[A-Za-z0-9_-\]\{1,64\}\$'",
        "give 1 to 64 of the characters A-Z a-z 0-9 _ -",
    ),
    (r"(?:Value|List|Tuple) should have at least 1 item[^;\n]*", "it is empty: give some, or leave it out"),
    (r"String should have at least 1 character", "it is empty: give some text, or leave it out"),
    (r"String should have at most (\d+) characters", r"give at most \1 characters"),
    (r"Value should have at most (\d+) items? after validation[^;\n]*", r"give at most \1 characters"),
    (r"(?:List|Tuple) should have at most (\d+) items[^;\n]*", r"give it at most \1 times"),
)
_CHOICE = re.compile(r"Input should be ('[^']*'(?:(?:, | or )'[^']*')*)")


def in_words(text: str) -> str:
    """`text` of a validator, rewritten for values typed on the command line."""
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    return _CHOICE.sub(lambda found: "give one of " + ", ".join(re.findall(r"'([^']*)'", found[1])), text)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """` (did you mean …?)` for the most similar of `known`; "" if none is similar."""
    from difflib import get_close_matches

    near = get_close_matches(given.lower(), list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
