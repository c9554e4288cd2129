"""What only a process can meet: streams closed, full or left, other locales, no current directory."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, TOWPATH, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.hostile import assert_decent
from tests.unit.infra.cli.shapes import TASK_ID, task_read

TITLE = "caf\u00e9 \U0001f680 \u202e"


@pytest.fixture(autouse=True)
def one_task(api: FakeApi) -> None:
    """A task whose title is not ASCII."""
    api.answers["GET /tasks"] = (200, {"items": [task_read(title=TITLE)], "next_cursor": None})


def shell(api: FakeApi, line: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """`line` in a shell in which `towpath` is the command."""
    return subprocess.run(
        ["bash", "-c", f'towpath() {{ {TOWPATH} "$@"; }}; {line}'],
        env=environment(api, **env),
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("towpath tasks > /dev/full", 1),
        ("towpath tasks -o json > /dev/full", 1),
        ("towpath --help > /dev/full", 1),
        ("towpath --version > /dev/full", 1),
        ("towpath tasks 2> /dev/full", 0),
        ("towpath nonsense 2> /dev/full", 1),
        ("towpath task ffffffff 2> /dev/full", 5),
        ("towpath tasks >&-", 0),
        ("towpath tasks 2>&-", 0),
        ("towpath tasks <&- >&- 2>&-", 0),
        ("towpath nonsense >&- 2>&-", 2),
        ("towpath task ffffffff 2>&-", 5),
        ("set -o pipefail; towpath tasks -o json | true", 0),
        ("set -o pipefail; for i in 1 2 3; do towpath tasks; done | head -c 1", 0),
    ],
)
def test_no_stream_ends_in_a_traceback(api: FakeApi, line: str, code: int) -> None:
    done = shell(api, line)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if "> /dev/full" in line and "2>" not in line:
        assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    "words", ["tasks -n 2000", "tasks -n 2000 -o json", "tasks -n 2000 -o jsonl", "--help"]
)
def test_a_reader_that_leaves_changes_no_exit_code(api: FakeApi, words: str) -> None:
    """The output is more than a pipe holds, so the writer meets the closed pipe."""
    api.answers["GET /tasks"] = (200, {"items": [task_read()] * 2000, "next_cursor": None})
    done = shell(api, f"set -o pipefail; towpath {words} | head -n 1 | wc -l")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "1", "")


def test_columns_stay_in_line_where_letters_become_escapes(api: FakeApi) -> None:
    titles, workspaces = ["\u00fcber", "plain", "\U0001f600"], [None, "shop", "much-longer"]
    rows = [
        {**task_read(), "title": title, "workspace": name}
        for title, name in zip(titles, workspaces, strict=True)
    ]
    api.answers["GET /tasks"] = (200, {"items": rows, "next_cursor": None})
    done = shell(api, "export LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0; towpath tasks")
    lines = done.stdout.splitlines()
    assert "\\u00fcber" in done.stdout, done.stdout
    heads = lines[0].split()
    behind = heads[heads.index("WORKSPACE") + 1 :]
    assert behind
    for head in behind:
        place = lines[0].index(head)
        assert {one[place - 2 : place] for one in lines[1:] if len(one) > place} <= {"  "}, done.stdout


def test_a_closed_stream_is_not_another_ones_socket(api: FakeApi) -> None:
    """What is written to the number of a closed stderr must not go into the connection."""
    api.answers["GET /tasks"] = (200, {"items": [task_read()], "next_cursor": "more"})
    assert shell(api, "towpath tasks -n 2 2>&- >&-").returncode == 0
    assert {one.method for one in api.seen} == {"GET"}


def test_pages_that_never_end_are_noticed(api: FakeApi) -> None:
    api.answers["GET /tasks"] = (200, {"items": [], "next_cursor": "more"})
    done = shell(api, "towpath tasks")
    assert (done.returncode, "come again" in done.stderr) == (1, True)
    assert len(api.seen) == 2


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "LANG": ""},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "no_SUCH.locale"},
    ],
    ids=str,
)
def test_no_locale_ends_in_a_traceback(api: FakeApi, env: dict[str, str]) -> None:
    table = shell(api, "towpath tasks", **env)
    assert_decent(table, ok=True)
    refused = shell(api, "towpath run --title $'\\xff' -- true", **env)
    assert_decent(refused, ok=False)
    told = subprocess.run(
        [TOWPATH, "tasks", "-o", "json"], env=environment(api, **env), capture_output=True, check=False
    )
    assert told.returncode == 0
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    assert json.loads(told.stdout.decode(encoding))[0]["title"] == TITLE


def test_a_directory_that_is_gone(api: FakeApi, tmp_path: Path) -> None:
    gone = "mkdir gone; cd gone; rmdir ../gone; "
    assert_decent(shell(api, gone + "towpath tasks", tmp_path), ok=True)
    refused = shell(api, gone + "towpath workspaces add acme src", tmp_path)
    assert_decent(refused, ok=False)
    assert "directory does not exist any more" in refused.stderr
    full = shell(api, gone + "towpath tasks > /dev/full", tmp_path)
    assert "No space left on device" in full.stderr, "only what is missing is the directory's fault"


def test_no_home_at_all(api: FakeApi, tmp_path: Path) -> None:
    line = f"unset HOME USER LOGNAME; towpath tasks; towpath task {TASK_ID} --at 1; towpath --show-completion"
    done = shell(api, line, tmp_path)
    assert "Traceback" not in done.stderr
