"""The commands that README and the pages beside it show do what they show."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.client import Client as NatsClient

from tests.support.documents.readme import blocks, console
from tests.support.nats import connect
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

README = REPO / "README.md"
RUNNERS, WATCHING, COMMANDS = (REPO / "docs" / f"{name}.md" for name in ("runners", "watching", "commands"))


def _typed(up: Up, command: str, task_id: str = "ID") -> str:
    """Run one command of a page in a shell, against `up`; its stdout."""
    line = command.replace("localhost:8000", up.url.removeprefix("http://"))
    done = up.home.program("sh", "-c", re.sub(r"\bID\b", task_id, line), TOWPATH_URL=up.url)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
async def guest(up: Up) -> AsyncIterator[NatsClient]:
    """A plain NATS client without credentials."""
    client = await connect(up.nats_url)
    yield client
    await client.close()


def test_the_first_screen_names_targets_that_exist() -> None:
    first = console(README, "Towpath")
    assert [command.split()[0] for command in first] == ["make", "make"]
    makefile = (REPO / "Makefile").read_text()
    for target in re.findall(r"`?\bmake ([a-z-]+)`", README.read_text()) + [
        command.split()[1] for command in first
    ]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_towpath_command_exists(home: Home) -> None:
    typed = [command for block in blocks(README) for command in block.commands]
    lines = [shlex.split(line.removesuffix("&")) for line in typed if line.startswith("towpath ")]
    text = "\n".join(page.read_text() for page in (README, COMMANDS))
    lines += [shlex.split(line) for line in re.findall(r"`towpath ([^`]+)`", text.replace("\n", " "))]
    named = {tuple(line[1:] if line[0] == "towpath" else line) for line in lines}
    named -= {("--help",), ("COMMAND", "--help")}
    listed = _listed_commands()
    offered = set(re.findall(r"(?m)^  ([a-z]+)  ", home.run("--help").stdout))
    assert listed == offered
    for command in sorted({_subcommand(line) for line in named} | {(name,) for name in listed}):
        shown = home.run(*command, "--help")
        assert shown.returncode == 0, shown.stderr
        for line in named:
            if _subcommand(line) == command:
                options = [word for word in line if word.startswith("--") and word != "--"]
                assert all(option in shown.stdout for option in options), line


def _listed_commands() -> set[str]:
    """What the page's first table names."""
    table = COMMANDS.read_text().partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| [^|]+ \| (`.+) \|$", table)
    return {name for row in rows for name in re.findall(r"`([a-z]+)`", row)}


def _subcommand(line: tuple[str, ...]) -> tuple[str, ...]:
    return line[:2] if line[0] == "workspaces" and len(line) > 1 else line[:1]


def test_the_first_steps_work_one_after_the_other(up: Up) -> None:
    first, *steps = console(README, "Use it")
    assert first == "towpath up &"
    assert {step.split()[0] for step in steps} == {"mkdir", "towpath"}
    (up.home.path / "shop").mkdir()
    (up.home.path / "shop" / "Makefile").write_text("build:\n\t@echo built\n")
    said = {}
    task_id = ""
    for step in steps:
        if step == "towpath watch":  # goes on until it is told to stop
            step = "timeout -s INT 3 towpath watch; test $? -eq 124 -o $? -eq 130 -o $? -eq 0"
        said[step] = _typed(up, step, task_id)
        if step.startswith("towpath run "):
            assert re.match(r"token \d+\nbuilt\n", said[step]), said[step]
            task_id = up.told("tasks", "--limit", "1")[0]["id"]
    assert "succeeded" in said["towpath trail ID"]
    assert task_id in said["towpath tasks"]


async def test_curl_reports_a_status_and_nats_shows_the_failure(up: Up, guest: NatsClient) -> None:
    create, running, failed = console(RUNNERS, "By hand, with curl")
    subject = shlex.split(console(WATCHING, "Watching")[0])
    assert subject[:2] == ["nats", "sub"]
    heard = await guest.subscribe(subject[2])
    await guest.flush()

    task_id = json.loads(_typed(up, create))["id"]
    assert json.loads(_typed(up, running, task_id))["status"] == "running"
    answer = json.loads(_typed(up, failed, task_id))
    assert (answer["status"], answer["exit_code"], answer["message"]) == ("failed", 3, "disk full")

    message = await heard.next_msg(DEADLINE)
    while message.subject != f"towpath.task.{task_id}.failed":
        message = await heard.next_msg(DEADLINE)
    assert message.headers is not None
    assert message.headers["Nats-Sequence"] == str(answer["seq"])
    assert message.headers["ce-type"] == "towpath.task.failed.v1"
    assert json.loads(message.data)["message"] == "disk full"
    assert json.loads(_typed(up, failed, task_id)) == answer  # once more: answered, not recorded


async def test_what_is_refused_is_not_seen_on_nats(up: Up, guest: NatsClient) -> None:
    seen: list[str] = []

    async def note(message: Any) -> None:
        seen.append(message.subject)

    task_id = up.create(["true"], pool="mine")
    await guest.subscribe("towpath.task.>", cb=note)
    await guest.flush()
    status = f"{up.url}/runner/tasks/{task_id}/status"
    header = ("-H", "Content-Type: application/json", "-o", "/dev/null", "-w", "%{http_code}")
    for body, code in (
        ('{"status": "running", "attempt": 2}', "409"),
        ('{"status": "running"}', "200"),
        ('{"status": "succeeded"}', "200"),
        ('{"status": "failed"}', "409"),
        ('{"status": "exploded"}', "422"),
    ):
        assert up.home.program("curl", "-s", status, *header, "-d", body).stdout == code, body
    await guest.publish(f"towpath.append.task.{task_id}.failed", b"{}")  # nobody but the control plane may
    await guest.publish(f"towpath.task.{task_id}.failed", b"{}")
    await guest.flush()
    later = up.create(["true"], dispatch=False)
    await eventually(lambda: f"towpath.task.{later}.created" in seen, DEADLINE)
    assert [subject for subject in seen if task_id in subject] == [
        f"towpath.task.{task_id}.{event}" for event in ("running", "succeeded")
    ]
