"""What is sent of a verification: the API takes it, however long the result is and files are named."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

from api.routes.log.evidence import VerificationBody
from infra.audit.findings import MOST_FINDINGS, Compared, Doubt, VerifyReport
from infra.cli.client.verification_recorder import VerificationRecorder, verify_command

READ = b'{"number":7,"by":"eve:eve"}'
TAKEN = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(READ), READ)


def sent(report: VerifyReport, command: str) -> Any:
    """The body that arrives at a server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        got = bytearray()

        def serve() -> None:
            with listening.accept()[0] as peer:
                while not _whole(got):
                    got.extend(peer.recv(65536))
                peer.sendall(TAKEN)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        recorder = VerificationRecorder(f"http://127.0.0.1:{listening.getsockname()[1]}", None, command)
        assert recorder.record(report) == "recorded as verification 7 by eve:eve"
        thread.join(10)
    return json.loads(bytes(got).partition(b"\r\n\r\n")[2])


def _whole(got: bytearray) -> bool:
    head, mark, body = bytes(got).partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(mark) and len(body) == int(length)


def test_the_longest_result_and_names_that_are_no_utf8_are_taken() -> None:
    kept = Path("\udcff" * 700)
    command = verify_command(kept, (), None, servers=None, read_model=True)
    report = VerifyReport(
        findings=[Doubt(1, "chain", "\u6f22" * 900, exact=False)] * MOST_FINDINGS,
        notes=["\u6f22" * 900] * 20,
        events=9,
        exported=Compared(str(kept), 1, 1, 1, 9, 9),
    )
    body = VerificationBody.model_validate(sent(report, command))
    assert (body.events, len(body.findings), len(body.notes)) == (9, MOST_FINDINGS, 10)
    assert body.command.startswith("towpath verify --checkpoints '???")
