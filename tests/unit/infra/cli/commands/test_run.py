"""`towpath run`: the task's progress on stderr, its output on stdout, its end as the exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from contextlib import suppress

import pytest

from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, Begin, Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.screen import on_screen
from tests.unit.infra.cli.shapes import event


def test_a_task_that_succeeds(api: FakeApi, installed: Towpath) -> None:
    api.script = [event("granted", "lock"), event("queued"), event("running"), event("succeeded")]
    done = installed("run", "-w", "acme", "--path", "src", "--", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    shown = [line.split()[2:] for line in done.stderr.splitlines()[1:]]
    assert [words[0] for words in shown] == ["lock", "queued", "running", "succeeded"]
    assert "token 2" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 100


def test_a_task_that_fails(api: FakeApi, installed: Towpath) -> None:
    api.script = [event("running"), event("failed")]
    done = installed("run", "false", "-o", "json", "--")
    assert (done.returncode, done.stdout) == (3, "oh\n")
    assert api.seen[0].body["command"] == ["false", "-o", "json", "--"]


def test_output_without_a_line_end_does_not_run_into_the_next_event(api: FakeApi) -> None:
    api.script = [event("running"), event("failed")]
    api.output = b"50 %"
    code, shown = on_screen(["run", "--", "false"], environment(api))
    assert code == 3
    lines = [line.rstrip() for line in shown.splitlines()]
    assert "50 %" in lines
    assert "failed" in lines[-1].split()


def test_json_is_the_task_alone(api: FakeApi, towpath: Towpath) -> None:
    api.script = [event("succeeded")]
    done = towpath("run", "-o", "json", "--", "true")
    assert json.loads(done.stdout)["status"] == "succeeded"


def test_everything_given_is_sent(api: FakeApi, towpath: Towpath) -> None:
    options = "-w acme --path src --path docs --shared --reject --pool gpu --env A=b=c --timeout 2m"
    done = towpath(
        "run", *options.split(), "--title", "T", "--label", "k=v", "--detach", "--", "sh", "-c", "x"
    )
    assert done.returncode == 0
    (asked,) = api.asked("POST", "/tasks")
    assert done.stdout == asked.body.pop("id") + "\n"
    assert asked.query == [("dispatch", "true")]
    assert asked.body == {
        "command": ["sh", "-c", "x"],
        "workspace": "acme",
        "lock_paths": ["src", "docs"],
        "lock_mode": "shared",
        "on_conflict": "reject",
        "pool": "gpu",
        "env": {"A": "b=c"},
        "timeout_seconds": 120.0,
        "title": "T",
        "labels": {"k": "v"},
    }


def test_retries_are_asked_for(api: FakeApi, towpath: Towpath) -> None:
    assert towpath("run", "-d", "--retry", "3", "true").returncode == 0
    every = "--retry 2 --retry-on exit --retry-on runner-lost --retry-backoff 1m"
    assert towpath("run", "-d", *every.split(), "true").returncode == 0
    plain, chosen = api.asked("POST", "/tasks")
    assert plain.body["retry"] == {"max_attempts": 3}
    assert chosen.body["retry"] == {
        "max_attempts": 2,
        "on": ["exit", "runner-lost"],
        "backoff_seconds": 60.0,
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--retry-on exit", "give --retry"),
        ("--retry-backoff 1m", "give --retry"),
        ("--retry 3 --retry-on exi", "did you mean exit?"),
        ("--retry 1", "at least 2"),
    ],
)
def test_retries_that_mean_nothing_are_usage_errors(
    api: FakeApi, towpath: Towpath, options: str, says: str
) -> None:
    done = towpath("run", *options.split(), "--", "true")
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert api.seen == []


def test_secrets_are_given_or_taken_from_the_environment(api: FakeApi, towpath: Towpath) -> None:
    options = ("--env", "CC=clang", "--secret", "KEY=a=b\nc", "--secret", "NPM_TOKEN", "--secret", "EMPTY=")
    assert towpath("run", "-d", *options, "true", NPM_TOKEN="n7k").returncode == 0
    (asked,) = api.asked("POST", "/tasks")
    assert asked.body["env"] == {"CC": "clang"}
    assert asked.body["secrets"] == {"KEY": "a=b\nc", "NPM_TOKEN": "n7k", "EMPTY": ""}


@pytest.mark.parametrize(
    "options",
    [
        ("--secret", "hush-hush"),
        ("--secret", "HUSH"),
        ("--secret", "=hush"),
        ("--secret", "hu sh=hush"),
        ("--secret", "A=hush", "--secret", "A=hush"),
        ("--env", "A=hush", "--secret", "A=hush"),
    ],
)
def test_a_secret_that_cannot_be_used_is_not_shown(
    api: FakeApi, towpath: Towpath, options: tuple[str, ...]
) -> None:
    done = towpath("run", *options, "true")
    assert done.returncode == 2
    assert "--secret" in done.stderr
    assert "hush" not in (done.stdout + done.stderr).lower()
    assert not api.asked("POST", "/tasks")


def test_create_only(api: FakeApi, towpath: Towpath) -> None:
    assert towpath("run", "--no-dispatch", "true").returncode == 0
    (asked,) = api.asked("POST", "/tasks")
    assert asked.query == []


def test_a_wait_that_has_an_end(api: FakeApi, towpath: Towpath) -> None:
    api.script = [event("canceled", reason="lock-wait-timeout", message="held too long")]
    done = towpath("run", "-w", "acme", "--lock-wait", "1.5m", "true")
    (asked,) = api.asked("POST", "/tasks")
    assert asked.body["lock_wait_seconds"] == 90.0
    assert done.returncode == 6
    assert "lock-wait-timeout, held too long" in done.stderr


@pytest.mark.parametrize("options", ["--lock-wait 5", "-w acme --reject --lock-wait 5", "-w a --lock-wait x"])
def test_a_wait_for_no_lock_is_a_usage_error(api: FakeApi, towpath: Towpath, options: str) -> None:
    assert towpath("run", *options.split(), "true").returncode == 2
    assert not api.asked("POST", "/tasks")


def test_a_refused_lock(api: FakeApi, towpath: Towpath) -> None:
    api.answers["POST /tasks"] = (409, {"title": "Conflict", "status": 409, "detail": "others hold it"})
    assert towpath("run", "-w", "acme", "--reject", "true").returncode == 6


def test_a_broken_stream_is_resumed_where_it_broke(api: FakeApi, towpath: Towpath) -> None:
    api.script = [event("queued"), event("running"), event("succeeded")]
    api.breaks_after = 3
    done = towpath("run", "true")
    assert done.returncode == 0
    assert [done.stderr.count(name) for name in ("queued", "running", "succeeded")] == [1, 1, 1]
    assert [one.headers["last-event-id"] for one in api.asked("GET", "/events/stream")] == ["1", "3.e1"]


def start(api: FakeApi, begin: Begin, *options: str) -> subprocess.Popen[str]:
    """`towpath run` that has shown `running`."""
    api.script = [event("running")]
    process = begin("run", *options, "sleep", "60")
    assert process.stderr is not None
    for line in process.stderr:
        if "running" in line:
            return process
    raise AssertionError("`running` was never shown")


def test_ctrl_c_cancels_the_task(api: FakeApi, begin: Begin) -> None:
    process = start(api, begin)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 3
    assert "canceled" in words
    assert len(api.asked("POST", f"/tasks/{api.task['id']}/cancel")) == 1


def test_ctrl_c_twice_leaves_the_task_alone(api: FakeApi, begin: Begin) -> None:
    process = start(api, begin)
    api.answers[f"POST /tasks/{api.task['id']}/cancel"] = (202, api.task)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "Ctrl-C again" in process.stderr.readline()
    while len(api.asked("GET", "/events/stream")) < 2:
        assert process.poll() is None
    pressed_again_until_it_ends(process)
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert f"was told to end; `towpath wait {api.task['id']}`" in words


def pressed_again_until_it_ends(process: subprocess.Popen[str]) -> None:
    """Ctrl-C from time to time: presses that are too close together count as one."""
    for _ in range(int(TIMEOUT_SECONDS)):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
            return
    raise AssertionError("it has not ended")


def test_ctrl_c_again_leaves_also_where_the_cancel_is_not_answered(api: FakeApi, begin: Begin) -> None:
    process = start(api, begin)
    waits = api.holds[f"POST /tasks/{api.task['id']}/cancel"] = threading.Event()
    process.send_signal(signal.SIGINT)
    pressed_again_until_it_ends(process)
    waits.set()
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert (process.returncode, "may not have heard of the cancel" in words) == (130, True)


@pytest.mark.parametrize("lost", ["data: nonsense\n\n"])
def test_a_stream_of_something_else_is_an_error(api: FakeApi, towpath: Towpath, lost: str) -> None:
    api.raw_sse = lost.encode()
    done = towpath("run", "true")
    assert done.returncode == 1
    assert "JSON" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_task_as_ctrl_c_does(api: FakeApi, begin: Begin, number: signal.Signals) -> None:
    process = start(api, begin)
    process.send_signal(number)
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 3
    assert "canceled" in words
    assert len(api.asked("POST", f"/tasks/{api.task['id']}/cancel")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_keep_leaves_the_task_alone(api: FakeApi, begin: Begin, number: signal.Signals) -> None:
    process = start(api, begin, "--keep")
    process.send_signal(number)
    _, words = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 130
    assert f"towpath wait {api.task['id']}" in words
    assert not api.asked("POST", f"/tasks/{api.task['id']}/cancel")


def test_what_it_waits_for_is_said_and_said_again_when_it_changes(api: FakeApi, begin: Begin) -> None:
    process = begin("run", "-w", "acme", "true")
    assert process.stderr is not None
    task_id = process.stderr.readline().split()[1]
    for holder in ("build", "test"):
        why = {"stage": "waits-for-lock", "sentence": f"waits for src in acme: {holder} holds it"}
        api.answers[f"GET /tasks/{task_id}/why"] = (200, why)
        assert process.stderr.readline().strip() == why["sentence"]
    api.answers["GET /runners"] = (200, {"items": [], "next_cursor": None})
    why = {"stage": "waits-for-runner", "sentence": "waits for a runner of pool gpu"}
    api.task["pool"] = "gpu"
    api.answers[f"GET /tasks/{task_id}/why"] = (200, why)
    assert "`towpath runner --pool gpu`" in process.stderr.readline()
    api.record(event("succeeded", task_id=task_id))
    process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0


@pytest.mark.parametrize("given", ["echo hi --workspace shop", "echo --pool=gpu", "echo -w shop"])
def test_an_option_of_run_behind_the_command_is_pointed_out(
    api: FakeApi, towpath: Towpath, given: str
) -> None:
    api.script = [event("succeeded")]
    done = towpath("run", *given.split())
    assert done.returncode == 0
    assert "stands behind the command" in done.stderr
    assert "stands behind" not in towpath("run", "--", *given.split()).stderr


def test_a_command_with_options_of_its_own_is_no_riddle(api: FakeApi, towpath: Towpath) -> None:
    api.script = [event("succeeded")]
    assert "stands behind" not in towpath("run", "ls", "-l", "--color").stderr
