"""Records the result of `towpath verify` through the API, in the name of the API's caller."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from infra.audit.findings import VerifyReport
from infra.cli.client.http import connect

_PATH = "/verifications"
_TEXT_BYTES = 500
_COMMAND_BYTES = 1000
_NOTES = 10


def verify_command(
    exported: Path | None,
    keys: Sequence[str],
    data_dir: Path | None,
    *,
    servers: str | None,
    read_model: bool,
) -> str:
    """The command as it was given; `servers` is `--nats-url` without passwords."""
    words = ["towpath", "verify"]
    if exported is not None:
        words += ["--checkpoints", str(exported)]
    for key in keys:
        words += ["--public-key", key]
    if not read_model:
        words.append("--no-read-model")
    if servers is not None:
        words += ["--nats-url", servers]
    if data_dir is not None:
        words += ["--data-dir", str(data_dir)]
    return _cut(shlex.join([*words, "--record"]), _COMMAND_BYTES)


def _cut(text: str, most: int = _TEXT_BYTES) -> str:
    """The beginning of `text`, as the API takes it: names of files may be no UTF-8."""
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


class VerificationRecorder:
    """Records the results of one command. Each method raises CliError where the API does not take it."""

    def __init__(self, url: str | None, data_dir: Path | None, command: str) -> None:
        self._url = url
        self._data_dir = data_dir
        self._command = command

    def check(self) -> None:
        """Ask the API first: a verification may take long, and its result should not be lost."""
        with connect(self._url, self._data_dir) as api:
            api.get(_PATH, limit=1)

    def record(self, report: VerifyReport) -> str:
        """Record the result; returns a sentence about it."""
        first, exported = report.first, report.exported
        body = {
            "ok": report.ok,
            "events": report.events,
            "last_event_id": report.last_event_id,
            "checkpoints": report.checkpoints,
            "covered_upto": report.covered_upto,
            "tasks_compared": report.tasks_compared,
            "first_bad_seq": first.seq if first else None,
            "findings": [
                {"seq": one.seq, "kind": one.kind, "exact": one.exact, "sentence": _cut(one.sentence)}
                for one in report.findings
            ],
            "notes": [_cut(note) for note in report.notes[:_NOTES]],
            "exported": {
                "file": _cut(exported.file[-_TEXT_BYTES:]),
                "checkpoints": exported.count,
                "covered_upto": exported.covered_upto,
            }
            if exported
            else None,
            "command": self._command,
            "host": _cut(socket.gethostname(), 255),
            "version": version("towpath"),
        }
        with connect(self._url, self._data_dir) as api:
            told = api.post(_PATH, body)
        return f"recorded as verification {told['number']} by {told['by']}"
