"""A receiver of Towpath's webhooks: checks the signature, and prints what each notice tells.

    TOWPATH_WEBHOOK_SECRET=whsec_… python webhook_receiver.py PORT

Needs Python 3.11 and no packages. It follows the Standard Webhooks scheme, as any library for that does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from base64 import b64decode, b64encode
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = b64decode(os.environ["TOWPATH_WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERATED_SECONDS = 300
"""An older request may be one that somebody has recorded and sends again."""
BODY_BYTES = 1 << 20
REMEMBERED = 10_000
seen: OrderedDict[str, None] = OrderedDict()


def is_genuine(headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures is ours, and the request is recent."""
    id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not at.isdecimal() or abs(time.time() - int(at)) > TOLERATED_SECONDS:
        return False
    made = hmac.digest(SECRET, f"{id}.{at}.".encode() + body, hashlib.sha256)
    expected = b"v1," + b64encode(made)
    given = headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(expected, one) for one in given)


class Hook(BaseHTTPRequestHandler):
    """Answers 204 to what is genuine, also when it comes twice, and 401 to anything else."""

    def do_POST(self) -> None:
        """Take one notice."""
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(min(length, BODY_BYTES))
        headers = {name.lower(): value for name, value in self.headers.items()}
        genuine = length <= BODY_BYTES and is_genuine(headers, body)
        if genuine and headers["webhook-id"] not in seen:
            seen[headers["webhook-id"]] = None
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            sys.stdout.write(json.loads(body)["data"]["notice"]["text"] + "\n")
            sys.stdout.flush()
        self.send_response(204 if genuine else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: what matters is printed."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
