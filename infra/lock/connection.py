"""A small HTTP/1.1 client on a kept connection: importing http.client takes longer than all the requests."""

from __future__ import annotations

import _socket  # without enums: `socket` takes longer to import than a request
import select
import time

from domain.validation import light_json as json

TYPE_CHECKING = False  # not of typing: its import takes longer than a request
if TYPE_CHECKING:
    from typing import Any

MAX_ANSWER_BYTES = 8 << 20
KEPT_BYTES = 1 << 20
MAX_HEAD_BYTES = 64 << 10
CONNECT_SECONDS = 5.0
_LINE = b"\r\n"
_WITHOUT_BODY = (204, 304)


class Unanswered(Exception):
    """No whole answer came; the request may have been processed."""


class Closed(ConnectionError):
    """The other side closed the connection."""


class TooLong(ConnectionError):
    """The answer has more bytes than are read."""


class Interrupted(Exception):
    """`Connection.interrupt` became readable while an answer was waited for."""


class Problem(Exception):
    """An answer that is no success. `body` is its JSON object, or empty."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.body = body
        self.code = str(body.get("type") or "").rpartition(":")[2]
        super().__init__(str(body.get("detail") or body.get("title") or f"the API answered HTTP {status}"))


class Connection:
    """Requests to one API, one at a time; reconnects by itself."""

    def __init__(self, url: str, headers: dict[str, str], most: int = MAX_ANSWER_BYTES) -> None:
        """`most`: bytes of an answer. Raises ValueError if `url` is none of http or https."""
        scheme, mark, rest = url.partition("://")
        if not mark or scheme not in ("http", "https"):
            raise ValueError(f"{url!r} is no URL of http or https: look at TOWPATH_URL")
        place, _, base = rest.partition("/")
        self.url, self._tls = url, scheme == "https"
        self._place = place.rpartition("@")[2]
        host, _, port = (
            self._place.rpartition(":") if ":" in self._place.rpartition("]")[2] else (self._place, "", "")
        )
        self._host = host.strip("[]")
        self._port = int(port or (443 if self._tls else 80))
        self._base = f"/{base.rstrip('/')}" if base.rstrip("/") else ""
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.socket: _socket.socket | None = None
        self.interrupt: int | None = None
        """A file; once it can be read, no answer is waited for any more."""
        self.fields: dict[str, str] = {}
        """The header fields of the last answer, by names in lower case."""
        self._most = most
        self._rest = bytearray()
        self._room = bytearray()
        self._begun: tuple[str, str] | None = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self.socket is not None:
            self.socket.close()
        self.socket, self._rest, self._begun = None, bytearray(), None

    def begin(self, path: str, seconds: float = CONNECT_SECONDS) -> None:
        """Send a GET whose answer the next `ask` for it takes; where it cannot be sent, that sends it."""
        try:
            self.send("GET", path, None, seconds)
            self._begun = ("GET", path)
        except (OSError, ValueError):
            self.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, seconds: float = 30.0) -> Any:
        """The JSON of a successful answer, within `seconds`.

        A kept connection may have been closed meanwhile: then the request is sent once more, so it must be
        repeatable. Raises Unanswered, Problem.
        """
        end = time.monotonic() + seconds
        begun = self._begun == (method, path)
        if not begun and (self._begun is not None or self.was_closed):
            self.close()  # what has come, or will, belongs to no request
        self._begun = None
        for kept in (True, False) if self.socket is not None else (False,):
            try:
                if not begun:
                    self.send(method, path, body, seconds)
                status, said = self.answer(end)
                break
            except (OSError, ValueError, IndexError) as error:
                self.close()
                begun = False
                if not kept or isinstance(error, TimeoutError):
                    raise Unanswered(_words(error)) from None
        try:
            found = json.loads(said) if said else None
        except ValueError:
            found = None
        if not 200 <= status < 300:
            raise Problem(status, found if isinstance(found, dict) else {})
        return found

    def send(self, method: str, path: str, body: dict[str, Any] | None, seconds: float) -> _socket.socket:
        """Send a request; what comes back can be read from the socket. Raises OSError."""
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {self._base}{path} HTTP/1.1\r\nHost: {self._place}\r\n{self._headers}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        found = self.open(seconds)
        found.settimeout(seconds)
        found.sendall(head.encode() + _LINE + content)
        return found

    def open(self, seconds: float) -> _socket.socket:
        """The open connection, or a new one. Raises OSError."""
        if self.socket is None:
            self.socket = self._connected(min(seconds, CONNECT_SECONDS))
        return self.socket

    @property
    def was_closed(self) -> bool:
        """Whether the other side has closed the kept connection, or has said what nothing was asked for."""
        return self.socket is not None and bool(self._rest or select.select([self.socket], [], [], 0)[0])

    def _connected(self, seconds: float) -> _socket.socket:
        # as bytes, since a text is encoded as IDNA first, whose module takes longer to import than to connect
        host = self._host.encode() if self._host.isascii() else self._host
        found = _reached(host, self._port, seconds)
        found.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        if not self._tls:
            return found
        import socket
        import ssl

        plain = socket.socket(fileno=found.detach())
        plain.settimeout(seconds)
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._host)

    def answer(self, end: float) -> tuple[int, bytes]:
        """Status and body, which must be there at `end`; the header fields are in `fields`.

        Raises OSError (TimeoutError too late), ValueError and IndexError where it is no HTTP.
        """
        while True:
            head = self._until(_LINE + _LINE, end).decode("latin-1").split("\r\n")
            status = int(head[0].split(" ", 2)[1])
            if status >= 200:
                break
        self.fields = fields = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        if "chunked" in fields.get("transfer-encoding", "").lower():
            said = self._chunks(end)
        elif "content-length" in fields or status in _WITHOUT_BODY:
            said = self._exactly(int(fields.get("content-length", "0")), end)
        else:
            said = self._to_the_end(end)
        if fields.get("connection", "").lower() == "close":
            self.close()
        return status, said

    def _chunks(self, end: float) -> bytes:
        said = bytearray()
        while size := int(self._until(_LINE, end).split(b";")[0], 16):
            self._check(len(said) + size)
            said += self._exactly(size, end)
            self._until(_LINE, end)
        while self._until(_LINE, end):
            pass
        return bytes(said)

    def _until(self, mark: bytes, end: float) -> bytes:
        while (at := self._rest.find(mark)) < 0:
            self._check(len(self._rest), MAX_HEAD_BYTES)  # it is searched anew each time
            self._more(end)
        found = bytes(self._rest[:at])
        del self._rest[: at + len(mark)]
        return found

    def _exactly(self, size: int, end: float) -> bytes:
        self._check(size)
        have = min(size, len(self._rest))
        with memoryview(self._room_for(size)) as room:
            room[:have] = self._rest[:have]
            del self._rest[:have]
            while have < size:
                have += self._into(room[have:size], end)
            return bytes(room[:size])

    def _room_for(self, size: int) -> bytearray:
        """Where a body is read to; that of a usual size is kept for the next one."""
        if size <= len(self._room):
            return self._room
        room = bytearray(size)
        if size <= KEPT_BYTES:
            self._room = room
        return room

    def _to_the_end(self, end: float) -> bytes:
        """A body whose end is that of the connection."""
        try:
            while True:
                self._check(len(self._rest))
                self._more(end)
        except Closed:
            found = bytes(self._rest)
        self.close()
        return found

    def _check(self, size: int, most: int | None = None) -> None:
        most = self._most if most is None else most
        if size > most:
            raise TooLong(f"the answer is larger than {most} bytes")

    def _more(self, end: float) -> None:
        chunk = self._ready(end).recv(65536)
        if not chunk:
            raise Closed("the connection was closed")
        self._rest += chunk

    def _into(self, room: memoryview, end: float) -> int:
        size = self._ready(end).recv_into(room)
        if not size:
            raise Closed("the connection was closed")
        return size

    def _ready(self, end: float) -> _socket.socket:
        """The socket, set to wait until `end`; Interrupted where `interrupt` comes first."""
        assert self.socket is not None
        left = end - time.monotonic()
        if left <= 0:  # also while something comes all the time
            raise TimeoutError("no answer in time")
        self.socket.settimeout(left)
        pending = getattr(self.socket, "pending", None)
        if self.interrupt is not None and not (pending is not None and pending()):
            ready, _, _ = select.select([self.socket.fileno(), self.interrupt], [], [], left)
            if self.interrupt in ready:
                raise Interrupted
            if not ready:
                raise TimeoutError("no answer in time")
        return self.socket


def _reached(host: str | bytes, port: int, seconds: float) -> _socket.socket:
    """A connection to the first address of `host` that takes one. Raises OSError."""
    failed: OSError | None = None
    for family, kind, proto, _, address in _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
        found = _socket.socket(family, kind, proto)
        try:
            found.settimeout(seconds)
            found.connect(address)
            return found
        except OSError as error:
            found.close()
            failed = failed or error
    raise failed or OSError(f"{host!r} has no address")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def quoted(value: str) -> str:
    """`value` as part of a path or a query."""
    safe = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
    return "".join(chr(one) if one in safe else f"%{one:02X}" for one in value.encode("utf-8", "replace"))
