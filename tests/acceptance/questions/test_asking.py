"""A job asks a person: answered from another terminal, expired, canceled, and while everything is killed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import httpx

from tests.acceptance.parts.pairs import control_settings, ready
from tests.support.nats import StartNats
from tests.support.observers.audit import audit
from tests.support.ports import free_port
from tests.support.towpath import DEADLINE, TOWPATH, Client, Home, Up
from tests.support.waiting import eventually

CURL = """\
import json, os, urllib.request
task = f"{os.environ['TOWPATH_URL']}/runner/tasks/{os.environ['TOWPATH_TASK_ID']}"
def call(url, body=None):
    data = json.dumps(body).encode() if body is not None else None
    headers = {"X-Runner-Token": os.environ["TOWPATH_JOB_TOKEN"], "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
        return json.load(answer)
asked = call(f"{task}/questions", {"text": "Which?", "free_text": True, "question_id": "which"})
while asked["state"] == "open":
    asked = call(f"{task.replace('/runner', '')}/questions/which?wait=30")
print("told", asked["answer"])
try:
    call(f"{task}/status", {"status": "succeeded"})
except urllib.error.HTTPError as error:
    print("own end:", error.code)
"""


def _asks(script: str) -> list[str]:
    """A command that asks and tells what became of it; `$TOWPATH_JOB_TOKEN` must not be shown."""
    return ["sh", "-c", f'{script}; code=$?; echo "code $code token=$TOWPATH_JOB_TOKEN"']


async def _open_question(client: Client, task_id: str) -> dict[str, Any]:
    question: dict[str, Any] = await eventually(lambda: client.task(task_id)["question"], DEADLINE)
    return question


async def _end(client: Client, task_id: str) -> dict[str, Any]:
    return await eventually(lambda: client.ended(task_id), DEADLINE)


def _events(client: Client, task_id: str) -> list[str]:
    return [one["event"] for one in client.events(task_id=task_id)]


async def test_a_job_asks_and_is_answered_from_another_terminal(up: Up) -> None:
    task_id = up.create(_asks('towpath ask "Deploy to production?" --choice yes --choice no'), title="deploy")
    await _open_question(up, task_id)
    listed = await eventually(
        lambda: [one for one in up.told("questions") if one["task_id"] == task_id], DEADLINE
    )
    assert (listed[0]["text"], listed[0]["choices"]) == ("Deploy to production?", ["yes", "no"])
    why = up.towpath("why", task_id).stdout
    assert f"answer with `towpath answer {task_id}`" in " ".join(why.split())
    wrong = up.towpath("answer", task_id[-12:], "maybe")
    assert (wrong.returncode, "yes, no" in wrong.stderr) == (2, True)
    given = up.towpath("answer", task_id[-12:], "yes")
    assert given.returncode == 0, given.stderr
    task = await _end(up, task_id)
    assert task["status"] == "succeeded"
    assert task["output_tail"].splitlines()[-2:] == ["yes", "code 0 token=[redacted]"]
    late = up.towpath("answer", task_id, "no")
    assert late.returncode == 6
    trail = up.towpath("trail", task_id).stdout
    assert "Deploy to production? (yes / no)" in trail


async def test_on_a_terminal_the_question_is_shown_and_asked(up: Up) -> None:
    task_id = up.create(_asks('towpath ask "Which one?" --choice blue --choice green'))
    await _open_question(up, task_id)
    screen, side = pty.openpty()
    with subprocess.Popen(
        [TOWPATH, "answer", task_id],
        env={**up.home.env, "TOWPATH_URL": up.url},
        stdin=side,
        stdout=side,
        stderr=side,
    ) as answering:
        os.close(side)
        os.write(screen, b"2\n")
        assert answering.wait(DEADLINE) == 0
        shown = os.read(screen, 65536).decode()
    os.close(screen)
    assert "Which one?" in shown
    assert "2  green" in shown
    assert "green" in (await _end(up, task_id))["output_tail"].splitlines()


async def test_a_question_expires_to_its_default_or_to_exit_code_8(up: Up) -> None:
    default = up.create(_asks('towpath ask "Go?" --choice yes --choice no --expires 1s --default no'))
    without = up.create(_asks('towpath ask "Go?" --choice yes --choice no --expires 1s'))
    task = await _end(up, default)
    assert task["output_tail"].splitlines()[-2:] == ["no", "code 0 token=[redacted]"]
    answered = next(one for one in up.events(task_id=default) if one["event"] == "answered")
    assert (answered["data"]["cause"], answered["actor"]) == ("expired", "question-expiry")
    assert "code 8" in (await _end(up, without))["output_tail"]
    assert "answered" not in _events(up, without)


async def test_a_cancel_ends_the_wait(up: Up) -> None:
    script = 'towpath ask "Go?" --choice yes; echo "code $?" > "$0/code"; exit 0'
    kept = up.home.path / "canceled"
    kept.mkdir(exist_ok=True)
    task_id = up.create(["sh", "-c", f"trap '' TERM; {script}", str(kept)])
    await _open_question(up, task_id)
    assert up.towpath("cancel", task_id).returncode == 0
    await _end(up, task_id)
    assert up.towpath("answer", task_id, "yes").returncode == 6
    assert "answered" not in _events(up, task_id)


async def test_any_program_asks_over_http_and_cannot_report_its_own_end(up: Up) -> None:
    task_id = up.create([sys.executable, "-c", CURL])
    await _open_question(up, task_id)
    assert up.towpath("answer", task_id, "--text", "the blue one").returncode == 0
    task = await _end(up, task_id)
    assert task["output_tail"].splitlines() == ["told the blue one", "own end: 401"]


async def test_an_ask_outlives_kill_9_of_api_and_projector(home: Home, start_nats: StartNats) -> None:
    server, port = start_nats(), free_port()
    client = Client(home, f"http://127.0.0.1:{port}")
    control = control_settings(
        home, server, API_PUBLIC_BASE_URL=client.url, API_RUNNER_CALLBACK_TOKEN="for-runners"
    )
    host = {
        "TOWPATH_NATS_URL": server.url,
        "TOWPATH_NATS_USER": server.runner.user,
        "TOWPATH_NATS_PASSWORD": server.runner.password or "",
        "TOWPATH_DATA_DIR": str(home.path / "host"),
        "TOWPATH_ROOTS": str(home.path),
    }
    first = [home.start("api", "--port", str(port), **control), home.start("projector", **control)]
    runner = home.start("runner", **host)
    await eventually(lambda: ready(client.url), DEADLINE)
    task_id = client.create(_asks('towpath ask "Go?" --choice yes --choice no'))
    question = await _open_question(client, task_id)
    for part in first:
        part.kill()

    second = [home.start("api", "--port", str(port), **control), home.start("projector", **control)]
    await eventually(lambda: ready(client.url), DEADLINE)
    assert (await _open_question(client, task_id)) == question
    given = client.towpath("answer", task_id, "no")
    assert given.returncode == 0, given.stderr
    task = await _end(client, task_id)
    assert task["output_tail"].splitlines()[-2:] == ["no", "code 0 token=[redacted]"]
    assert _events(client, task_id).count("asked") == 1
    await audit(server.url)
    assert [part.interrupt() for part in (runner, *second)] == [0, 0, 0]


async def test_kill_9_of_the_runner_closes_the_question(home: Home) -> None:
    up = home.up()
    task_id = up.create(_asks('towpath ask "Go?" --choice yes'))
    question = await _open_question(up, task_id)
    up.server.kill()
    await eventually(lambda: home.processes() == [], DEADLINE)
    up = home.up()
    task = await _end(up, task_id)
    assert (task["status"], task["reason"], task["question"]) == ("failed", "runner-lost", None)
    place = f"{up.url}/tasks/{task_id}/questions/{question['question_id']}"
    assert httpx.get(place, timeout=30).json()["state"] == "closed"
    late = httpx.post(f"{place}/answer", json={"choice": "yes"}, timeout=30)
    assert (late.status_code, late.json()["code"]) == (409, "ended")
    await audit(up.nats_url)
    verified = home.run("verify", "--data-dir", up.data_dir, "--nats-port", up.nats_port)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert up.server.interrupt() == 0
