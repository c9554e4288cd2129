"""docs/examples/run_attempt.sh, as a listener starts it for what it is pushed: whole lives over curl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

from tests.acceptance.jobs import resisting
from tests.support.documents.examples import (
    EXAMPLES,
    PAUSING,
    ended_after_its_pause,
    resisting_left,
    running,
    seen,
)
from tests.support.http.lossy_proxy import LossyProxy, lossy_proxy
from tests.support.http.push_runner import PushRunner, push_runner
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

CLAIM = {"workspace": "shop", "lock_paths": ["src"]}
TOKEN = "for-runners"
LEASE_SECONDS = "6"
ID = "by-shell"


class Listener:
    """A host that is pushed to: it starts one run_attempt.sh for what it is given."""

    def __init__(self, up: Up, pushed: PushRunner, proxy: LossyProxy) -> None:
        self.up, self.proxy, self._pushed = up, proxy, pushed
        self.root = up.workspace("shop")

    async def given(self, command: list[str], **spec: Any) -> dict[str, Any]:
        """A task's submission, as it was pushed."""
        task = self.up.create(command, **CLAIM, **spec)
        return await eventually(lambda: self._pushed.submission(task), DEADLINE)

    @contextmanager
    def started(self, given: dict[str, Any]) -> Iterator[Popen[str]]:
        """What a listener does with a submission."""
        env = {
            "TOWPATH_TASK_ID": given["task_id"],
            "TOWPATH_ATTEMPT": str(given["attempt"]),
            "TOWPATH_STATUS_URL": given["status_callback_url"],
            "TOWPATH_STATUS_TOKEN": given["status_callback_token"],
            "TOWPATH_TIMEOUT_SECONDS": str(given["timeout_seconds"] or ""),
            "TOWPATH_TIMEOUT_PAUSES": "true" if given.get("timeout_pauses") else "",
            "TOWPATH_WORKSPACE": given["workspace"]["id"],
            "TOWPATH_LOCK_TOKEN": str(given["workspace"]["lock_token"]),
            "TOWPATH_RUNNER_ID": ID,
            "TOWPATH_LEASE_SECONDS": LEASE_SECONDS,
            "TOWPATH_URL": self.proxy.url,
            "API_RUNNER_CALLBACK_TOKEN": TOKEN,
            "TOWPATH_OUTPUT": str(self.up.home.path / "output"),
            **given["env"],
        }
        program = (EXAMPLES / "run_attempt.sh", *given["command"])
        with running(self.up, *program, cwd=self.root, **env) as process:
            yield process

    async def end(self, given: dict[str, Any], process: Popen[str]) -> tuple[int, dict[str, Any]]:
        """How the script ended, and its task."""
        process.communicate(timeout=DEADLINE)
        return process.returncode, self.up.task(given["task_id"])


@contextmanager
def listener(home: Home) -> Iterator[Listener]:
    with push_runner() as pushed, lossy_proxy() as proxy:
        up = home.up(
            HOST_RUNNER_URL=pushed.url,
            API_RUNNER_CALLBACK_BASE_URL=proxy.url,
            API_RUNNER_CALLBACK_TOKEN=TOKEN,
            TOWPATH_LEASE_SECONDS=LEASE_SECONDS,
        )
        proxy.target = up.url
        yield Listener(up, pushed, proxy)
        assert up.server.interrupt() == 0


async def test_it_runs_fails_and_takes_too_long(home: Home) -> None:
    with listener(home) as host:
        said = 'a "quoted" \\ line\tünïcode'
        go = host.root / "go"
        script = (
            f'printf "%s\\n" "$SAID" "$TOWPATH_LOCK_TOKEN"; until [ -e {go} ]; do sleep 0.1; done; printf end'
        )
        given = await host.given(["sh", "-c", script], env={"SAID": said})
        host.proxy.lose = {'"running"': 1, '"succeeded"': 2}
        with host.started(given) as process:
            held = {"task_id": given["task_id"], "attempt": 1}
            await eventually(lambda: held in seen(host.up, ID)["running_attempts"], DEADLINE)
            assert seen(host.up, ID)["state"] == "alive"
            go.touch()
            code, task = await host.end(given, process)
        assert (code, task["status"], task["exit_code"], task["runner_id"]) == (0, "succeeded", 0, ID)
        assert task["output_tail"] == f"{said}\n{given['workspace']['lock_token']}\nend"
        lost = [json.loads(body)["status"] for body in host.proxy.lost]
        assert lost == ["running", "succeeded", "succeeded"]
        assert ID not in [one["id"] for one in host.up.get("/runners")["items"]], "it said goodbye"

        given = await host.given(["sh", "-c", "exit 7"])
        with host.started(given) as process:
            code, task = await host.end(given, process)
        assert (code, task["status"], task["reason"], task["exit_code"]) == (7, "failed", "exit", 7)

        given = await host.given(resisting("slow"), timeout_seconds=1)
        with host.started(given) as process:
            code, task = await host.end(given, process)
        assert (code, task["status"], task["reason"]) == (124, "failed", "timeout")
        assert resisting_left(home) == []
        await eventually(lambda: host.up.holders() == {}, DEADLINE)


async def test_its_timeout_stands_still_while_the_job_asks(home: Home) -> None:
    with listener(home) as host:
        given = await host.given(["sleep", "600"], **PAUSING)
        with host.started(given) as process:
            task = await ended_after_its_pause(host.up, given["task_id"], TOKEN)
            code, _ = await host.end(given, process)
        assert (code, task["status"], task["reason"]) == (124, "failed", "timeout")


async def test_it_can_be_canceled_before_and_after_its_start(home: Home) -> None:
    with listener(home) as host:
        given = await host.given(["touch", "started"])
        await eventually(lambda: host.up.task(given["task_id"])["status"] == "queued", DEADLINE)
        host.up.post(f"/tasks/{given['task_id']}/cancel")
        with host.started(given) as process:
            code, task = await host.end(given, process)
        assert (code, task["status"]) == (130, "canceled")
        assert not (host.root / "started").exists()
        with host.started(given) as process:
            code, task = await host.end(given, process)
        assert (code, task["status"]) == (130, "canceled")

        given = await host.given(resisting("first"))
        with host.started(given) as process:
            await eventually(lambda: (host.root / "first.log").exists(), DEADLINE)
            host.up.post(f"/tasks/{given['task_id']}/cancel")
            code, task = await host.end(given, process)
        assert (code, task["status"], task["runner_id"]) == (130, "canceled", ID)
        assert resisting_left(home) == []
        await eventually(lambda: host.up.holders() == {}, DEADLINE)


async def test_cut_off_or_killed_it_leaves_nothing_behind(home: Home) -> None:
    with listener(home) as host:
        given = await host.given(resisting("cut"))
        with host.started(given) as process:
            await eventually(lambda: (host.root / "cut.log").exists(), DEADLINE)
            host.proxy.target = "http://127.0.0.1:9"
            await eventually(lambda: resisting_left(home) == [], DEADLINE)
            assert host.up.holders().keys() == {given["task_id"]}, "others got its lock while it wrote"
            host.proxy.target = host.up.url
            code, task = await host.end(given, process)
        assert (code, task["status"], task["reason"]) == (137, "failed", "runner-lost")

        given = await host.given(resisting("killed"))
        with host.started(given) as process:
            await eventually(lambda: (host.root / "killed.log").exists(), DEADLINE)
            process.kill()
            await eventually(lambda: resisting_left(home) == [], DEADLINE)
            task = await eventually(lambda: host.up.ended(given["task_id"]), DEADLINE)
        assert (task["status"], task["reason"]) == ("failed", "runner-lost")
        await eventually(lambda: host.up.holders() == {}, DEADLINE)


def test_what_it_needs_of_the_shell_is_posix() -> None:
    for script in sorted(Path(EXAMPLES).glob("*.sh")):
        assert script.read_text().startswith("#!/bin/sh\n")
        assert script.stat().st_mode & 0o111, f"{script.name} cannot be executed"
