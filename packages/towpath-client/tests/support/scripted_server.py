"""An HTTP server that answers what a test has written down, one answer a request, and keeps the requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

DROP = "drop"
"""Read the request and close the connection."""
HANG = "hang"
"""Read the request and never answer."""


class Scripted:
    """Answers are DROP, HANG, or (status, body, headers); `requests` are (method and path, body)."""

    def __init__(self, script: list[Any]) -> None:
        self._script = list(script)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.requests: list[tuple[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw:
            raw += connection.recv(65536)
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        self.requests.append((lines[0].rpartition(" ")[0], json.loads(body) if body else None))
        self.headers.append(headers)
        what = self._script.pop(0)
        if what == HANG:
            self._kept.append(connection)
            return
        if what != DROP:
            status, answer, extra = what
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            told = {"Content-Length": len(content), "Connection": "close", **extra}
            shown = "".join(f"{name}: {value}\r\n" for name, value in told.items())
            connection.sendall(f"HTTP/1.1 {status} Said\r\n{shown}\r\n".encode() + content)
        connection.close()

    def leave_the_rest(self) -> None:
        """No more of the script has to be used up."""
        self._script.clear()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for connection in self._kept:
            connection.close()


@contextmanager
def scripted(*script: Any) -> Iterator[Scripted]:
    """A server with this script, which must be used up."""
    server = Scripted(list(script))
    try:
        yield server
        assert server._script == []
    finally:
        server.close()
