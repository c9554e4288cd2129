"""What is published for TypeScript compiles, and the runner written against it lives a whole life on Node.

`make test-node` installs the compiler by the hashes in package-lock.json, then runs this.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.jobs import resisting
from tests.support.documents.examples import PAUSING, ended_after_its_pause, resisting_left, seen
from tests.support.http.lossy_proxy import LossyProxy, lossy_proxy
from tests.support.ports import free_port
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Home, Up
from tests.support.waiting import eventually

pytestmark = pytest.mark.node
HERE = Path(__file__).parent
CLAIM = {"workspace": "shop", "lock_paths": ["src"]}
TOKENS = {"API_RUNNER_CALLBACK_TOKEN": "for-runners", "TOWPATH_RUNNER_TOKEN": "for-submitters"}
LEASE_SECONDS = "6"


def tsc(project: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    compiler = [HERE / "node_modules" / ".bin" / "tsc", "--project", project]
    command = [str(part) for part in (*compiler, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs made from the TypeScript sources lie, as in the repository."""
    out = tmp_path_factory.mktemp("compiled")
    done = tsc(HERE, "--outDir", out)
    assert done.returncode == 0, done.stdout
    return out


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


def test_types_and_runner_compile(compiled: Path) -> None:
    assert (compiled / "docs" / "examples" / "http_runner.mjs").exists()


def test_the_types_need_nothing_of_nodes(tmp_path: Path) -> None:
    shutil.copy(REPO / "infra" / "contracts" / "towpath.d.ts", tmp_path)
    options = {"strict": True, "noEmit": True, "lib": ["ES2022"], "types": []}
    project = {"compilerOptions": options, "files": ["towpath.d.ts"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(project))
    done = tsc(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_installed_is_pinned_by_hash_and_from_no_certain_host() -> None:
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    packages = [one for name, one in locked.items() if name]
    assert all(one["integrity"].startswith("sha512-") for one in packages)
    assert not any("resolved" in one for one in packages)


@contextmanager
def node_runner(home: Home, compiled: Path) -> Iterator[tuple[Up, LossyProxy, subprocess.Popen[bytes]]]:
    """A `towpath up` that pushes to the Node runner, which reaches it through a proxy."""
    node, port = shutil.which("node"), free_port()
    assert node is not None, "install Node 20: this target runs on it"
    with lossy_proxy() as proxy:
        up = home.up(
            HOST_RUNNER_URL=f"http://127.0.0.1:{port}",
            API_RUNNER_CALLBACK_BASE_URL=proxy.url,
            TOWPATH_LEASE_SECONDS=LEASE_SECONDS,
            **TOKENS,
        )
        proxy.target = up.url
        program = compiled / "docs" / "examples" / "http_runner.mjs"
        env = {**home.env, **TOKENS, "TOWPATH_URL": proxy.url, "TOWPATH_LEASE_SECONDS": LEASE_SECONDS}
        with (home.path / "node.err").open("wb") as words:
            runner = subprocess.Popen([node, program, str(port), "node-1"], env=env, stderr=words)
        try:
            yield up, proxy, runner
        finally:
            runner.kill()
            runner.wait(DEADLINE)
        assert up.server.interrupt() == 0


async def test_a_timeout_stands_still_while_the_job_asks(home: Home, compiled: Path) -> None:
    with node_runner(home, compiled) as (up, _proxy, _):
        await eventually(lambda: seen(up, "node-1"), DEADLINE)
        task_id = up.create(["sleep", "600"], **PAUSING)
        done = await ended_after_its_pause(up, task_id, TOKENS["API_RUNNER_CALLBACK_TOKEN"])
        assert (done["status"], done["reason"]) == ("failed", "timeout")


async def test_a_whole_life(home: Home, compiled: Path) -> None:
    with node_runner(home, compiled) as (up, _proxy, _):
        root = up.workspace("shop")
        await eventually(lambda: seen(up, "node-1"), DEADLINE)

        script = "echo $WHOM $TOWPATH_LOCK_TOKEN; echo my token: $SECRET; pwd"
        first = up.create(["sh", "-c", script], env={"WHOM": "-"}, secrets={"SECRET": "s3cret"}, **CLAIM)
        done = await eventually(lambda: up.ended(first), DEADLINE)
        (granted,) = up.events(task_id=first, event="granted")
        assert (done["status"], done["exit_code"], done["runner_id"]) == ("succeeded", 0, "node-1")
        assert done["output_tail"] == f"- {granted['seq']}\nmy token: ***\n{root}\n"
        order = [one["event"] for one in up.events(task_id=first)]
        assert order[:3] == ["created", "dispatched", "granted"]
        assert order.index("running") < order.index("succeeded") < order.index("released")

        second = up.create(["sh", "-c", "echo no >&2; exit 7"], **CLAIM)
        failed = await eventually(lambda: up.ended(second), DEADLINE)
        assert (failed["status"], failed["reason"], failed["exit_code"]) == ("failed", "exit", 7)
        assert failed["output_tail"] == "no\n"
        third = up.create(["no-such-program"], **CLAIM)
        failed = await eventually(lambda: up.ended(third), DEADLINE)
        assert (failed["status"], failed["reason"]) == ("failed", "error")
        slow = up.create(["sleep", "600"], timeout_seconds=0.5, **CLAIM)
        failed = await eventually(lambda: up.ended(slow), DEADLINE)
        assert (failed["status"], failed["reason"]) == ("failed", "timeout")
        await eventually(lambda: up.holders() == {}, DEADLINE)


CUT_EMOJI = r"""
const url = process.argv[1];
const headers = { "Content-Type": "application/json" };
const say = async (body) => {
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  console.log(answer.status);
};
await say({ status: "running" });
const text = "\u{1f600} built";
await say({ status: "succeeded", exit_code: 0, output_tail: text.slice(1), message: text.slice(0, 1) });
"""


async def test_an_emoji_that_node_has_cut_costs_no_end(home: Home) -> None:
    node, up = shutil.which("node"), home.up()
    assert node is not None, "install Node 20: this target runs on it"
    task = up.create(["true"], pool="mine")
    url = f"{up.url}/runner/tasks/{task}/status"
    command = [node, "--input-type=module", "-e", CUT_EMOJI, url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert said.stdout.split() == ["200", "200"]
    done = up.task(task)
    assert (done["status"], done["output_tail"], done["message"]) == ("succeeded", "\ufffd built", "\ufffd")
    assert up.server.interrupt() == 0


async def test_answers_that_are_lost_are_asked_for_again(home: Home, compiled: Path) -> None:
    with node_runner(home, compiled) as (up, proxy, _):
        root = up.workspace("shop")
        await eventually(lambda: seen(up, "node-1"), DEADLINE)
        proxy.lose = {'"running"': 1, '"succeeded"': 2}
        task = up.create(["sh", "-c", "echo once >> ran"], **CLAIM)
        done = await eventually(lambda: up.ended(task), DEADLINE)
        assert done["status"] == "succeeded"
        await eventually(lambda: not any(proxy.lose.values()), DEADLINE)
        said = [json.loads(body)["status"] for body in proxy.lost]
        assert said == ["running", "succeeded", "succeeded"]
        assert (root / "ran").read_text() == "once\n"
        await eventually(lambda: seen(up, "node-1")["running_attempts"] == [], DEADLINE)
        events = [one["event"] for one in up.events(task_id=task)]
        assert (events.count("running"), events.count("succeeded")) == (1, 1)


async def test_it_is_seen_while_it_holds_is_canceled_and_loses_its_lease(home: Home, compiled: Path) -> None:
    with node_runner(home, compiled) as (up, proxy, runner):
        root = up.workspace("shop")
        await eventually(lambda: seen(up, "node-1"), DEADLINE)
        canceled = up.create(resisting("first"), **CLAIM)
        waiter = up.create(["sh", "-c", "wc -c < first.log"], **CLAIM)
        held = {"task_id": canceled, "attempt": 1}
        shown = await eventually(
            lambda: held in seen(up, "node-1")["running_attempts"] and seen(up, "node-1"), DEADLINE
        )
        assert (shown["state"], shown["pools"]) == ("alive", ["default"])
        assert up.task(canceled)["runner_state"] == "alive"
        await eventually(lambda: (root / "first.log").exists(), DEADLINE)
        assert up.towpath("cancel", canceled).returncode == 0
        task = await eventually(lambda: up.ended(canceled), DEADLINE)
        assert (task["status"], task["runner_id"]) == ("canceled", "node-1")
        done = await eventually(lambda: up.ended(waiter), DEADLINE)
        size = (root / "first.log").stat().st_size
        assert (done["status"], int(done["output_tail"])) == ("succeeded", size)

        lost = up.create(resisting("second"), **CLAIM)
        await eventually(lambda: (root / "second.log").exists(), DEADLINE)
        proxy.target = "http://127.0.0.1:9"  # cut off: it must kill what it runs by itself
        await eventually(lambda: resisting_left(home) == [], DEADLINE)
        proxy.target = up.url
        task = await eventually(lambda: up.ended(lost), DEADLINE)
        assert (task["status"], task["reason"]) == ("failed", "runner-lost")

        last = up.create(["sleep", "600"], **CLAIM)
        await eventually(lambda: up.task(last)["status"] == "running", DEADLINE)
        runner.send_signal(signal.SIGTERM)
        task = await eventually(lambda: up.ended(last), DEADLINE)
        assert (task["status"], task["reason"]) == ("failed", "runner-lost")
        assert runner.wait(DEADLINE) == 0
