"""Every command against hostile arguments, environments and servers: words, an exit code, no secret."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.unit.infra.cli.conftest import Towpath
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.hostile import (
    COMMANDS,
    ELSEWHERE,
    SECRET,
    SERVERS,
    assert_decent,
    bytes_as_text,
    every_command,
)
from tests.unit.infra.cli.shapes import TASK_ID, event, task_read

NO_TEXT = bytes_as_text(b"caf\xe9")

ENVIRONMENTS: dict[str, dict[str, str]] = {
    "a token that is not ASCII": {"TOWPATH_TOKEN": f"é{SECRET}"},
    "a token that is no text": {"TOWPATH_TOKEN": bytes_as_text(b"\xff") + SECRET},
    "a token with a line break": {"TOWPATH_TOKEN": f"{SECRET}\nX-Other: {SECRET}"},
    "a token with a line break at its end": {"TOWPATH_TOKEN": f"{SECRET}\n"},
    "a token with a control character": {"TOWPATH_TOKEN": f"{SECRET}\x1b[2J"},
    "a token of a megabyte": {"TOWPATH_TOKEN": SECRET * 9_000},
    "no home": {"HOME": "", "XDG_CACHE_HOME": "/nowhere"},
    "a home that is none": {"HOME": "/proc/self/mem", "TOWPATH_DATA_DIR": "~/x"},
    "nobody's home": {"TOWPATH_DATA_DIR": "~no-such-user/x"},
    "a directory that is no text": {"TOWPATH_DATA_DIR": bytes_as_text(b"/tmp/d\xe4t")},
    "a directory that is a file": {"TOWPATH_DATA_DIR": "/dev/null"},
    "a directory with a long name": {"TOWPATH_DATA_DIR": "/" + "d" * 5000},
    "a terminal without columns": {"COLUMNS": "0"},
    "a terminal that is none": {"COLUMNS": "wide", "TERM": "\x1b"},
    "no time zone": {"TZ": "Nowhere/Nothing"},
    "a proxy that does not fit": {"ALL_PROXY": f"socks5://u:{SECRET}@127.0.0.1:9"},
    "a proxy that is none": {"HTTP_PROXY": f"::{SECRET}::", "http_proxy": f"::{SECRET}::"},
    "certificates that are none": {"SSL_CERT_FILE": "/dev/null/x"},
    "another setting": {"TOWPATH_LEASE_SECONDS": "inf", "TOWPATH_PORT": "9" * 40},
}
URLS = {
    "empty host": "http://",
    "no scheme": "localhost:8000",
    "bracket": "http://[",
    "bracket in a name": "http://a]b",
    "port": "http://127.0.0.1:99999",
    "port zero": "http://127.0.0.1:0",
    "port in letters": "http://127.0.0.1:http",
    "scheme": "ftp://127.0.0.1",
    "file": "file:///etc/passwd",
    "user": f"http://me:{SECRET}@127.0.0.1:9",
    "user with an at": f"http://me:{SECRET}@x@127.0.0.1:9",
    "long label": f"http://{'a' * 64}.invalid",
    "empty label": "http://a..b.invalid",
    "idna": "http://\u2488com",
    "idna, no text": "http://\udcff.invalid",
    "space": "http://127.0.0.1:9/ x",
    "line break": "http://127.0.0.1:9/\r\nX: y",
    "query": f"http://127.0.0.1:9/?token={SECRET}",
    "nul-like": "http://127.0.0.1:9/%00%ff",
    "long": "http://127.0.0.1:9/" + "x" * 100_000,
    "nobody listens": "http://[::1]:9",
    "not a loopback": "http://192.0.2.1.invalid:8000",
}
ANSWERS: dict[str, tuple[int, Any]] = {
    "html": (200, b"<html><body>It works!</body></html>"),
    "half": (200, b'{"items": [{"id": "x'),
    "nothing": (200, b""),
    "null": (200, b"null"),
    "a list": (200, b"[]"),
    "a number": (200, b"1" + b"0" * 5000),
    "a text": (200, b'"yes"'),
    "another object": (200, b'{"hello": "world"}'),
    "items of another kind": (200, b'{"items": {"a": 1}, "next_cursor": null}'),
    "items that are none": (200, b'{"items": [1, null, "x"], "next_cursor": null}'),
    "empty items": (200, b'{"items": [{}], "next_cursor": null}'),
    "nested": (200, b"[" * 100_000),
    "no text": (200, b'{"items": "\xff\xfe"}'),
    "elsewhere": (302, b""),
    "elsewhere for good": (308, b"<html>"),
    "not found, html": (404, b"<html>not found</html>"),
    "unauthorized": (401, b""),
    "a problem of another kind": (409, b'{"detail": {"a": [1]}, "holders": [1, {"x": 2}], "task_id": 7}'),
    "a problem with controls": (422, json.dumps({"detail": "\x1b[2J\x9b31m\u202egone\x07"}).encode()),
    "a problem that is a list": (500, b"[1]"),
    "a teapot": (418, b"\x00\x01"),
    "overloaded": (503, b"later"),
    "unknown status": (599, b"?"),
}


def test_every_command_is_tried() -> None:
    known = {path for path, _ in every_command()}
    lines = [" ".join(words) for words in (*COMMANDS.values(), *SERVERS.values())]
    tried = {path for path in known if any(f"{line} ".startswith(f"{path} ") for line in lines)}
    assert known - tried == ELSEWHERE


@pytest.mark.parametrize("env", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_no_environment_breaks_a_command(api: FakeApi, towpath: Towpath, env: dict[str, str]) -> None:
    api.script = [event("running"), event("succeeded")]
    for command in COMMANDS.values():
        assert_decent(towpath(*command, **env))


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_no_url_breaks_a_command(towpath: Towpath, url: str) -> None:
    for command in ("run", "tasks", "wait", "workspaces add"):
        assert_decent(towpath(*COMMANDS[command], TOWPATH_URL=url, TOWPATH_TOKEN=SECRET), ok=False)
    assert_decent(towpath("tasks", "--url", url), ok=False)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_no_answer_breaks_a_command(api: FakeApi, towpath: Towpath, answer: tuple[int, bytes]) -> None:
    api.always = answer
    for command in COMMANDS.values():
        done = towpath(*command)
        assert_decent(done)
        assert "\x1b" not in done.stderr


def test_an_answer_without_a_bound_is_given_up(
    api: FakeApi, towpath: Towpath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.client.http.ANSWER_BYTES", 1 << 20)
    api.always = (200, b" " * (3 << 20))
    done = towpath("tasks")
    assert_decent(done, ok=False)
    assert "larger than" in done.stderr


IDS = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "slashes": "../../tasks",
    "encoded": "%2e%2e",
    "space": "a b",
    "emoji": "🚀",
    "no text": NO_TEXT,
    "star": "*",
    "question": "?limit=1",
    "fragment": "#x",
    "long": "x" * 100_000,
    "36 characters": "../" * 12,
    "controls": "a\x1b[2Jb",
}


@pytest.mark.parametrize("given", IDS.values(), ids=IDS)
def test_what_is_no_id_is_refused_before_it_is_sent(api: FakeApi, towpath: Towpath, given: str) -> None:
    for command in ("task", "why", "dispatch", "cancel", "wait", "trail"):
        done = towpath(command, given)
        assert_decent(done)
        assert done.returncode == 2
    for words in (("locks", given), ("workspaces", "remove", given), ("workspaces", "add", given, "/srv")):
        done = towpath(*words)
        assert_decent(done)
        assert done.returncode == 2
        assert "\x1b" not in done.stderr
    assert api.seen == []


TEXTS = {
    "command": ("run", "--", "echo", NO_TEXT),
    "title": ("run", "--title", NO_TEXT, "--", "true"),
    "env value": ("run", "--env", f"A={NO_TEXT}", "--", "true"),
    "env name": ("run", "--env", f"{NO_TEXT}=1", "--", "true"),
    "label": ("run", "--label", f"a={NO_TEXT}", "--", "true"),
    "path": ("run", "-w", "acme", "--path", NO_TEXT, "--", "true"),
    "workspace": ("run", "-w", NO_TEXT, "--", "true"),
    "pool": ("run", "--pool", NO_TEXT, "--", "true"),
    "filter": ("tasks", "-w", NO_TEXT),
    "label filter": ("tasks", "--label", f"a={NO_TEXT}"),
    "event": ("events", "-e", NO_TEXT),
    "actor": ("watch", "-a", NO_TEXT),
    "reason": ("release", TASK_ID, "--reason", NO_TEXT),
    "kind": ("dead", "--kind", NO_TEXT),
    "root": ("workspaces", "add", "acme", NO_TEXT),
}


@pytest.mark.parametrize("words", TEXTS.values(), ids=TEXTS)
def test_text_that_cannot_be_sent_is_refused_where_it_enters(
    api: FakeApi, towpath: Towpath, words: tuple[str, ...]
) -> None:
    done = towpath(*words)
    assert_decent(done)
    assert done.returncode == 2
    assert "UTF-8" in done.stderr or "is no" in done.stderr
    assert api.seen == []


@pytest.mark.parametrize("text", [SECRET, f"={SECRET}"])
def test_a_value_without_its_name_is_not_shown(towpath: Towpath, text: str) -> None:
    done = towpath("run", "--env", "A=b", "--env", text, "--", "true")
    assert_decent(done)
    assert done.returncode == 2
    assert "number 2" in done.stderr


@pytest.mark.parametrize("option", ["--timeout", "--lock-wait"])
@pytest.mark.parametrize("length", ["9" * 400, "1e9", "-1", "nan", "inf", "", "١٠", "9" * 5000 + "d"])
def test_no_duration_breaks_a_command(api: FakeApi, towpath: Towpath, option: str, length: str) -> None:
    api.script = [event("succeeded")]
    assert_decent(towpath("run", "-w", "acme", option, length, "--", "true"))
    assert_decent(towpath("wait", TASK_ID, "--timeout", length))


@pytest.mark.parametrize(
    "when", ["9" * 400, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "99999999d"]
)
def test_no_time_breaks_a_command(api: FakeApi, towpath: Towpath, when: str) -> None:
    api.answers["GET /tasks"] = (200, {"items": [task_read()], "next_cursor": None})
    for words in (("tasks", "--since", when), ("events", "--from", when), ("locks", "--at", when)):
        assert_decent(towpath(*words))


def test_a_loopback_api_is_asked_without_a_proxy(api: FakeApi, towpath: Towpath) -> None:
    api.answers["GET /tasks"] = (200, {"items": [], "next_cursor": None})
    port = api.url.rpartition(":")[2]
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    for host in ("127.0.0.1", "127.0.0.2", "localhost"):
        assert towpath("tasks", TOWPATH_URL=f"http://{host}:{port}", **proxies).returncode in (0, 1)
    assert towpath("tasks", **proxies).returncode == 0


def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(towpath: Towpath) -> None:
    done = towpath("tasks", TOWPATH_URL="http://api.invalid", ALL_PROXY=f"socks5://u:{SECRET}@127.0.0.1:9")
    assert_decent(done, ok=False)
    assert "ALL_PROXY" in done.stderr


def test_a_token_that_no_header_carries_is_named_by_its_variable(towpath: Towpath) -> None:
    done: subprocess.CompletedProcess[str] = towpath("tasks", TOWPATH_TOKEN=f"{SECRET}\n")
    assert done.returncode == 2
    assert "TOWPATH_TOKEN" in done.stderr
    assert SECRET not in done.stderr
