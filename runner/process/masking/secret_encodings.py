"""Encoded forms of a secret, which are masked like the secret itself.

Base64 is recognised wherever the secret stands in what was encoded (`user:password` of an HTTP header, a
Kubernetes manifest): three bytes become four characters, so there are three alignments. The characters at the
ends that neighbours change are left out. Shells join a value's words and lines (`echo $SECRET`), and bash
quotes its apostrophes (`set -x`). Runners compute the forms, so that shims start and mask as before.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

SHORTEST_ENCODED = 8
"""Bytes of the shortest secret: what remains of shorter ones may stand in any text."""
_APOSTROPHES = ("'\\''", "'\"'\"'")
"""As bash and Python quote one."""
_URL_SAFE = str.maketrans("+/", "-_")


def encodings(secrets: Iterable[str]) -> set[str]:
    """The encoded forms of all `secrets`."""
    return {form for secret in secrets for form in _encodings(secret.strip())}


def _encodings(secret: str) -> Iterator[str]:
    by_shells = (" ".join(secret.split()), *(secret.replace("'", quoted) for quoted in _APOSTROPHES))
    yield from (form for form in by_shells if form != secret)
    raw = secret.encode("utf-8", "replace")
    if len(raw) < SHORTEST_ENCODED:
        return
    yield from (quote(secret, errors="replace"), quote(secret, "", errors="replace"))
    yield quote_plus(secret, errors="replace")
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        form = b64encode(bytes(before) + raw).decode()[first:last]
        yield from (form, form.translate(_URL_SAFE))
