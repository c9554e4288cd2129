"""An HTTP proxy that loses answers: the request is carried out, and the connection ends without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.support.http.http_service import QuietHandler, serving

_PASSED_ON = ("content-type", "x-runner-token", "authorization")


@dataclass
class LossyProxy:
    """Forwards to `target`. `lose`: text in a request's body to how many answers to such are still lost."""

    url: str = ""
    target: str = ""
    lose: dict[str, int] = field(default_factory=dict)
    lost: list[bytes] = field(default_factory=list)
    """Bodies of the requests whose answers were lost."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def loses(self, body: bytes) -> bool:
        with self._lock:
            for text, left in self.lose.items():
                if left and text.encode() in body:
                    self.lose[text] = left - 1
                    self.lost.append(body)
                    return True
        return False


@contextmanager
def lossy_proxy() -> Iterator[LossyProxy]:
    """A proxy on a free port; afterwards nothing listens there."""
    proxy = LossyProxy()

    class Handler(QuietHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
            self.close_connection = True
            try:
                answer = httpx.request(
                    self.command, proxy.target + self.path, content=body, headers=headers, timeout=60
                )
            except httpx.HTTPError:
                return
            if proxy.loses(body):
                return
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Retry-After"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = _forward

    with serving(Handler) as proxy.url:
        yield proxy
