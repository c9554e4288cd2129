"""Runner ids that certify themselves: they end with the digest of a key that their maker alone has.

`towpath lock` is a runner for one attempt. It has an operator's token, and must report for its own attempt
without gaining the right to report for others. So it makes a key, names itself and its pool after the key's
digest, and shows the key with each report and heartbeat: only who has made the id can speak under it, and
only for tasks whose pool it is. Nothing is issued, stored or looked up. Standard library only.
"""

from __future__ import annotations

try:  # hashlib loads OpenSSL, which takes `towpath lock` longer than any other import
    from _sha256 import sha256  # type: ignore[import-not-found, unused-ignore]
except ImportError:  # another Python than 3.11
    from hashlib import sha256

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from domain.identifiers import RunnerId

PREFIX = "key."
MARK = "-lock-"
DIGEST_CHARS = 32
SHOWN_CHARS = 8
"""So much of the digest tables show; with it people name the runner."""
HOST_CHARS = 64 - len(MARK) - DIGEST_CHARS


def runner_id_of(host: str, key: str) -> RunnerId:
    """The id that `key` certifies; `host` is for people."""
    shown = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in host)
    # without `cast`, which is of typing
    return f"{shown[:HOST_CHARS] or 'host'}{MARK}{_digest(key)}"  # type: ignore[return-value]


def takes_itself(pool: str) -> bool:
    """Whether a pool is the id of a runner that certifies itself, and takes its task without a submission."""
    digest = pool.rpartition(MARK)[2]
    return MARK in pool and len(digest) == DIGEST_CHARS and digest.isalnum()


def host_of(runner_id: str) -> str:
    """What people read in a runner's id: the host of one that certifies itself, else all of it."""
    return runner_id.rpartition(MARK)[0] if takes_itself(runner_id) else runner_id


def shown_id(runner_id: str) -> str:
    """A runner's id as tables show it: that of one that certifies itself is shortened."""
    short = runner_id[: SHOWN_CHARS - DIGEST_CHARS]
    return short if takes_itself(runner_id) and is_shown_id(short) else runner_id


def is_shown_id(text: str) -> bool:
    """Whether `text` may be a shortened id."""
    host, mark, digest = text.rpartition(MARK)
    return bool(host and mark) and len(digest) == SHOWN_CHARS and set(digest) <= set("0123456789abcdef")


def is_named(runner_id: str, given: str) -> bool:
    """Whether `given` is the id, or may be its shortened form."""
    return runner_id == given or (is_shown_id(given) and runner_id.startswith(given))


def is_key(token: str) -> bool:
    """Whether a token is a runner's own key, of whatever runner."""
    return token.startswith(PREFIX)


def certifies(key: str, runner_id: str) -> bool:
    """Whether `runner_id` was made from `key`. Both are known to who asks, so time betrays nothing."""
    return is_key(key) and runner_id.endswith(MARK + _digest(key))


def _digest(key: str) -> str:
    digest: str = sha256(key.encode()).hexdigest()
    return digest[:DIGEST_CHARS]
