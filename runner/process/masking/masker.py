"""Masks declared secrets in a job's output before it is stored, whatever the pieces it comes in.

What could be the beginning of a secret is held back until more comes or the job ends, so a secret that two
writes share is recognised, and readers of the file need to know no secret. A value is also masked without
surrounding white space, line by line, and in its JSON form. Values and lines shorter than three bytes stay:
masking every `1` hides nothing and destroys the output. Cut secrets are not recognised; encoded ones are
given as secrets of their own (`secret_encodings.py`). Standard library only: the shim imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MASK = b"[redacted]"
SHORTEST_SECRET = 3
MOST_PLACES = 20_000
MOST_TRIES = 1000
FEW = 100
"""Up to so many byte strings, looking for each is faster than looking at each position (13 MB/s)."""

Interval = tuple[int, int]


def secret_forms(secrets: Iterable[str]) -> list[bytes]:
    """Every byte string to be masked for these values, longest first."""
    found: set[bytes] = set()
    for secret in secrets:
        for form in (secret, secret.strip(), *(line.strip() for line in secret.splitlines())):
            found |= {text.encode("utf-8", "replace") for text in (form, *_in_json(form))}
    return sorted((form for form in found if len(form) >= SHORTEST_SECRET), key=len, reverse=True)


class Masker:
    """One output, fed piece by piece. The result does not depend on where the pieces begin and end.

    Only if the secrets occur too often within one piece, more than them is masked.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = secret_forms(secrets)
        self._longest = len(self._forms[0]) if self._forms else 0
        self._by_head: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            self._by_head.setdefault(form[:SHORTEST_SECRET], []).append(form)
        self._short_heads = {form[:size] for form in self._forms for size in range(1, SHORTEST_SECRET)}
        self._beginnings = bytearray(256)
        """For each byte whether a form begins with it. No regular expression: each shim would compile it."""
        for form in self._forms:
            self._beginnings[form[0]] = 1
        self._held = b""
        self._inside = 0
        """How many of the held bytes belong to a mask that was returned already."""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown after `piece`."""
        if not self._forms:
            return piece
        data = self._held + piece
        return self._shown(data, self._hold_from(data))

    def finish(self) -> bytes:
        """The rest, once nothing more comes."""
        return self._shown(self._held, len(self._held))

    def _shown(self, data: bytes, hold: int) -> bytes:
        """`data` up to `hold`, masked. Every secret that begins before `hold` is whole in `data`."""
        parts, at = [], self._inside
        for start, end in self._spans(data):
            if start >= max(at, hold):
                break
            if start >= at:
                parts += [data[at:start], MASK]
            at = max(at, end)
        parts.append(data[at:hold])
        self._held, self._inside = data[hold:], max(0, at - hold)
        return b"".join(parts)

    def _hold_from(self, data: bytes) -> int:
        """The first position from which the rest of `data` is, or may be, the begin of a longer secret."""
        begin = max(0, len(data) - self._longest + 1)
        for tries, at in enumerate(_positions(data[begin:].translate(self._beginnings))):
            rest = data[begin + at :]
            if tries == MOST_TRIES:
                return begin + at
            if len(rest) < SHORTEST_SECRET:
                if rest in self._short_heads:
                    return begin + at
            elif any(
                len(form) > len(rest) and form.startswith(rest)
                for form in self._by_head.get(rest[:SHORTEST_SECRET], ())
            ):
                return begin + at
        return len(data)

    def _spans(self, data: bytes) -> list[Interval]:
        """Where secrets are, in order; overlapping ones are one. Too many: all of `data`."""
        places = []
        for place in self._each_form(data) if len(self._forms) <= FEW else self._each_position(data):
            places.append(place)
            if len(places) > MOST_PLACES:
                return [(0, len(data))]
        merged: list[Interval] = []
        for start, end in sorted(places):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def _each_form(self, data: bytes) -> Iterator[Interval]:
        for form in self._forms:
            at = data.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = data.find(form, at + 1)

    def _each_position(self, data: bytes) -> Iterator[Interval]:
        heads = self._by_head
        for at in [at for at in range(len(data)) if data[at : at + SHORTEST_SECRET] in heads]:
            for form in heads[data[at : at + SHORTEST_SECRET]]:
                if data.startswith(form, at):  # the longest one: shorter ones lie within it
                    yield at, at + len(form)
                    break


def _in_json(text: str) -> tuple[str, str]:
    import json  # `towpath lock` keeps no output, and so looks for no secret: its shim does without

    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]


def _positions(marks: bytes) -> Iterator[int]:
    """Where `marks` is 1."""
    at = marks.find(1)
    while at >= 0:
        yield at
        at = marks.find(1, at + 1)
