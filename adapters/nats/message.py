"""A received message whose headers are parsed on first use.

Each event has a dozen headers, and every process of the control plane reads every event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_VERSION_LINE = b"NATS/1.0\r\n"
_STATUS_LINE = b"NATS/1.0 "


class Arrived:
    """A message passed to a listener. `raw_headers` is its header block as received."""

    __slots__ = ("_headers", "data", "raw_headers", "reply", "subject")

    def __init__(
        self,
        subject: str,
        reply: str,
        data: bytes,
        raw_headers: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.subject = subject
        self.reply = reply
        self.data = data
        self.raw_headers = raw_headers
        self._headers = headers

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, parsed on first use; a status line gives `Status` and `Description`, as in nats-py."""
        if self._headers is None:
            self._headers = parse_block(self.raw_headers) if self.raw_headers else {}
        return self._headers


Take = Callable[[Arrived], None]
TakeBytes = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply, header block (b"" without one) and data of a message."""


def parse_block(raw: bytes) -> dict[str, str]:
    """The headers of a whole block, with those of its status line."""
    if raw.startswith(_VERSION_LINE):
        return parse_lines(raw[len(_VERSION_LINE) :])
    if not raw.startswith(_STATUS_LINE):
        return {}
    line, _, rest = raw.partition(b"\r\n")
    status, _, description = line[len(_STATUS_LINE) :].decode("utf-8", "replace").strip().partition(" ")
    found = {"Status": status} if status.isdigit() else {}
    if description:
        found["Description"] = description
    return found | parse_lines(rest)


def parse_lines(raw: bytes) -> dict[str, str]:
    """The headers of `Name: value` lines; lines without a valid name are skipped."""
    found: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        name = name.strip()
        if not name.isascii() or len(name.split()) > 1:
            continue
        found[name] = value.strip()
    return found
