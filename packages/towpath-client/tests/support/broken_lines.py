"""A TCP proxy whose connections a test may cut, or hold so that they are half open."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Line:
    """Listens on loopback and forwards to `url`."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ends: list[socket.socket] = []
        self._passes = threading.Event()
        self._passes.set()
        self.accepts = True
        self.connections = 0
        self.accepted = threading.Semaphore(0)
        self._threads = [self._start(self._accept)]

    def _start(self, work: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            if not self.accepts:
                near.close()
                continue
            self.connections += 1
            far = socket.create_connection(self._target)
            self._ends += [near, far]
            self._threads += [self._start(self._pass, near, far), self._start(self._pass, far, near)]
            self.accepted.release()  # from now on a cut ends it

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self._passes.wait()
                target.sendall(chunk)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End all connections."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def hold(self) -> None:
        """Let nothing pass any more; neither side is told."""
        self._passes.clear()

    def go_on(self) -> None:
        """Let everything pass again, also what was held."""
        self._passes.set()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.go_on()
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()
