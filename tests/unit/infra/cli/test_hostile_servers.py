"""Commands of servers against hostile settings and arguments: refused in words before anything starts."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, TOWPATH, Towpath
from tests.unit.infra.cli.hostile import SECRET, SERVERS, assert_decent, bytes_as_text

NO_TEXT = bytes_as_text(b"d\xe4t")

SETTINGS: dict[str, dict[str, str]] = {
    "a number without end": {"TOWPATH_LEASE_SECONDS": "inf"},
    "no number": {"TOWPATH_LEASE_SECONDS": "nan"},
    "a number of 5,000 digits": {"TOWPATH_RUNNER_CAPACITY": "9" * 5000},
    "a port beyond all": {"TOWPATH_PORT": "99999"},
    "a port below all": {"TOWPATH_NATS_PORT": "-1"},
    "a port in letters": {"TOWPATH_PORT": "http"},
    "a directory that is no text": {"TOWPATH_DATA_DIR": bytes_as_text(b"/tmp/d\xe4t")},
    "nobody's home": {"TOWPATH_DATA_DIR": "~no-such-user/x"},
    "tokens that are empty": {"TOWPATH_API_TOKENS": ""},
    "tokens that are not ASCII": {"TOWPATH_API_TOKENS": f"operator:\u00e9{SECRET}"},
    "tokens that are no text": {"TOWPATH_API_TOKENS": f"operator:{NO_TEXT}{SECRET}"},
    "tokens with a line break": {"TOWPATH_API_TOKENS": f"operator:{SECRET}\nviewer"},
    "tokens of no role": {"TOWPATH_API_TOKENS": f"king:{SECRET}"},
    "half of NATS's credentials": {"TOWPATH_NATS_PASSWORD": SECRET},
    "NATS at no URL": {"TOWPATH_NATS_URL": f"nats://me:{SECRET}@["},
    "NATS at no port": {"TOWPATH_NATS_URL": f"nats://me:{SECRET}@127.0.0.1:99999"},
    "NATS by another scheme": {"TOWPATH_NATS_URL": f"http://me:{SECRET}@127.0.0.1"},
    "a URL that is no text": {"TOWPATH_NATS_URL": f"nats://me:{SECRET}@{NO_TEXT}"},
    "no database": {"TOWPATH_DATABASE_URL": f"sqlite://me:{SECRET}@[/x"},
    "a database of another kind": {"TOWPATH_DATABASE_URL": f"mysql://me:{SECRET}@127.0.0.1/x"},
}
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "directory that is no text": ("up", "--data-dir", NO_TEXT),
    "port beyond all": ("up", "--port", "99999"),
    "port in letters": ("api", "--port", "http"),
    "NATS port beyond all": ("doctor", "--nats-port", "99999"),
    "host that is no text": ("api", "--host", NO_TEXT),
    "root that is no text": ("up", "--root", NO_TEXT),
    "user that is no text": ("up", "--job-user", NO_TEXT),
    "signals that are none": ("up", "--job-signals", "some"),
    "URL that is none": ("projector", "--nats-url", f"nats://me:{SECRET}@["),
    "projection that is none": ("projector", "--only", NO_TEXT),
    "pool that is no text": ("runner", "--pool", NO_TEXT),
    "name that is no text": ("runner", "--runner-id", NO_TEXT),
    "state that is no text": ("runner", "--state-dir", NO_TEXT),
    "no capacity": ("runner", "--capacity", "-1"),
    "capacity of 5,000 digits": ("runner", "--capacity", "9" * 5000),
    "address that is none": ("runner", "--listen", NO_TEXT),
    "port of an address": ("runner", "--listen", "127.0.0.1:99999"),
    "API that is none": ("runner", "--api-url", f"http://me:{SECRET}@["),
    "key that is none": ("verify", "--public-key", "zz"),
    "checkpoints that are not there": ("verify", "--checkpoints", NO_TEXT),
    "backup to no text": ("backup", NO_TEXT),
    "backup to a file": ("backup", "/dev/null/x"),
    "backup to a long name": ("backup", "/" + "x" * 5000),
    "restore from no text": ("restore", NO_TEXT),
    "restore from nothing": ("restore", ""),
    "restore from a long name": ("restore", "/" + "x" * 5000),
    "export to no text": ("checkpoint", "export", NO_TEXT),
    "export after nothing": ("checkpoint", "export", "-", "--after", "-1"),
    "output that is none": ("replay", "-o", NO_TEXT),
    "option that is none": ("demo", f"--{NO_TEXT}"),
    "argument too many": ("up", NO_TEXT),
}


@pytest.fixture
def nobody(tmp_path: Path) -> dict[str, str]:
    """An installation of its own where no server answers."""
    port = str(free_port())
    return {
        "TOWPATH_DATA_DIR": str(tmp_path / "data"),
        "TOWPATH_NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "TOWPATH_PORT": port,
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_cannot_be_meant_starts_nothing(
    towpath: Towpath, nobody: dict[str, str], name: str, tmp_path: Path
) -> None:
    for words in SERVERS.values():
        done = towpath(*words, **{**nobody, **SETTINGS[name]})
        assert_decent(done)
        assert done.returncode == 2, (words, done.stderr)
        assert next(iter(SETTINGS[name])) in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_argument_that_cannot_be_meant_is_refused(
    towpath: Towpath, nobody: dict[str, str], words: tuple[str, ...]
) -> None:
    done = towpath(*words, **nobody)
    assert_decent(done, ok=False)
    if words[0] not in ("backup", "restore", "checkpoint"):
        assert done.returncode == 2, done.stderr


@pytest.mark.parametrize(
    "name", ["doctor", "verify", "replay", "backup", "checkpoint list", "checkpoint export"]
)
def test_nobody_at_nats_is_said_without_its_password(
    towpath: Towpath, nobody: dict[str, str], name: str
) -> None:
    url = nobody["TOWPATH_NATS_URL"].replace("//", f"//me:{SECRET}@")
    done = towpath(*SERVERS[name], **{**nobody, "TOWPATH_NATS_URL": url})
    assert_decent(done, ok=False)
    assert "no NATS server answers" in done.stdout + done.stderr


def environment_of(nobody: dict[str, str], **env: str) -> dict[str, str]:
    kept = {"PATH": os.environ["PATH"], **nobody}
    return {**kept, **env}


def shell(line: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """`line` in a shell in which `towpath` is the command."""
    return subprocess.run(
        ["bash", "-c", f'towpath() {{ {TOWPATH} "$@"; }}; {line}'],
        env=env,
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize("name", SERVERS)
def test_everything_hostile_at_once(nobody: dict[str, str], name: str, tmp_path: Path) -> None:
    """No home, no locale, no current directory, no room on stdout, and a file where its data should be."""
    (tmp_path / "data").write_text("a file")
    secret = {"TOWPATH_NATS_USER": "me", "TOWPATH_NATS_PASSWORD": SECRET, "LC_ALL": "C", "PYTHONUTF8": "0"}
    words = " ".join(SERVERS[name])
    line = f"mkdir gone; cd gone; rmdir ../gone; towpath {words} > /dev/full"
    done = shell(line, environment_of(nobody, **secret), tmp_path)
    assert_decent(done, ok=False)
    assert (tmp_path / "data").read_text() == "a file"


@pytest.mark.parametrize("name", ["up", "api", "projector", "doctor", "verify", "version"])
def test_no_stream_is_needed(nobody: dict[str, str], name: str, tmp_path: Path) -> None:
    words = " ".join(SERVERS[name])
    done = shell(f"towpath {words} <&- >&- 2>&-", environment_of(nobody), tmp_path)
    assert done.returncode in ({0} if name == "version" else {1})


def test_a_port_that_is_taken_is_named(nobody: dict[str, str], tmp_path: Path) -> None:
    nats = nobody.pop("TOWPATH_NATS_URL")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words in (
            f"up --port {port}",
            f"up --nats-port {port}",
            f"TOWPATH_NATS_URL={nats} towpath api --port {port}",
        ):
            command = words if words.startswith("TOWPATH") else f"towpath {words}"
            done = shell(command, environment_of(nobody), tmp_path)
            assert_decent(done, ok=False)
            assert port in done.stderr
