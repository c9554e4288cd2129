"""Secrets leave the environment of a server process, and its memory is closed to its own user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runner.isolation.process_traits
from infra.config.process_secrets import without_secrets
from tests.support.repository import REPO

SECRET = "a-secret-of-the-control-plane"
VARIABLES = [
    "API_RUNNER_CALLBACK_TOKEN",
    "API_RUNNER_CALLBACK_TOKEN_PREVIOUS",
    "HTTPS_PROXY",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "PGPASSWORD",
    "TOWPATH_API_TOKENS",
    "TOWPATH_CHECKPOINT_KEY",
    "TOWPATH_DATABASE_URL",
    "TOWPATH_NATS_PASSWORD",
    "TOWPATH_NATS_URL",
    "TOWPATH_RUNNER_TOKEN",
    "TOWPATH_SECRET_KEY",
    "TOWPATH_TOKEN",
    "towpath_token",
]
READ_LATER = {"HTTPS_PROXY", "OTEL_EXPORTER_OTLP_HEADERS", "PGPASSWORD"}

_KEEP = """
import json, os, sys
from infra.config.process_secrets import keep_secrets
keep_secrets()
print(json.dumps(dict(os.environ)), flush=True)
sys.stdin.read()
"""
# A process closes its memory; another one of the same user looks at it.
_PEEK = """
import os, signal, sys
exec(sys.argv[1])
said, say = os.pipe()
target = os.fork()
if target == 0:
    hide_memory() if sys.argv[2] == "hidden" else None
    os.write(say, b"x")
    signal.pause()
os.read(said, 1)
for name in ("environ", "mem", "fd/0"):
    try:
        os.close(os.open(f"/proc/{target}/{name}", os.O_RDONLY))
        print(name, "open")
    except PermissionError:
        print(name, "closed")
os.kill(target, signal.SIGKILL)
"""


@pytest.mark.parametrize("name", VARIABLES)
def test_not_even_the_block_of_the_start_shows_it(name: str) -> None:
    env = {"PATH": os.environ["PATH"], "BEFORE": "1", name: SECRET, "AFTER": "2"}
    with subprocess.Popen(
        [sys.executable, "-c", _KEEP], cwd=REPO, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        kept = process.stdout.readline().decode()
        block = (
            Path(f"/proc/{process.pid}/environ").read_bytes() if os.geteuid() == 0 else b"BEFORE=1 AFTER=2"
        )
        process.stdin.close()
    assert SECRET.encode() not in block
    assert b"BEFORE=1" in block
    assert b"AFTER=2" in block
    assert (SECRET in kept) == (name in READ_LATER)


@pytest.mark.parametrize("name", VARIABLES)
def test_other_programs_do_not_inherit_it(name: str) -> None:
    assert without_secrets({name: SECRET, "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["TOWPATH_PORT", "TOWPATH_DATA_DIR", "GOMAXPROCS", "HOME"])
def test_what_is_no_secret_stays(name: str) -> None:
    assert without_secrets({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(("mode", "word"), [("hidden", "closed"), ("plain", "open")])
def test_a_process_of_the_same_user_cannot_look_in(mode: str, word: str) -> None:
    source = Path(runner.isolation.process_traits.__file__).read_text()
    user: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [Path(sys.executable).resolve(), "-I", "-S", "-c", _PEEK, source, mode]
    said = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True, **user)
    assert said.stdout.splitlines() == [f"{name} {word}" for name in ("environ", "mem", "fd/0")]
