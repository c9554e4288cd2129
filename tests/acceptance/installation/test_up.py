"""`towpath up`: a task's whole life with client commands, Ctrl-C, and everything as it was afterwards."""

from __future__ import annotations

from tests.acceptance.jobs import hold, let_go
from tests.support.towpath import DEADLINE, Home, Json, Up
from tests.support.waiting import eventually


def test_it_says_where_it_is_and_that_it_is_ready(up: Up) -> None:
    assert up.lines[-1] == "ready"
    assert up.url.startswith("http://127.0.0.1:")
    assert up.nats_url.startswith("nats://127.0.0.1:")
    assert up.data_dir == up.home.path / ".towpath"


def test_a_task_runs_and_its_output_and_exit_code_come_back(up: Up) -> None:
    done = up.towpath(
        "run", "--env", "WHOM=world", "--", "sh", "-c", "echo hello $TOWPATH_ATTEMPT; echo $PWD"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "hello 1"
    steps = [line.split()[1] for line in done.stderr.splitlines()[1:]]
    assert steps[-2:] == ["running", "succeeded"]

    failed = up.towpath("run", "--", "sh", "-c", "echo broken >&2; exit 7")
    assert failed.returncode == 3
    assert "broken" in failed.stdout
    newest = up.told("tasks", "--limit", "1")[0]
    assert (newest["status"], newest["reason"], newest["exit_code"]) == ("failed", "exit", 7)
    trail = [event["event"] for event in up.told("trail", newest["id"])]
    assert trail[:2] == ["created", "dispatched"]
    assert trail[-2:] == ["running", "failed"]


async def test_a_locked_path_is_waited_for_or_refused(up: Up) -> None:
    root = up.workspace("contended")
    holder = hold(up, root, "contended", ["src"])
    await eventually(lambda: up.task(holder)["status"] == "running", DEADLINE)

    refused = up.towpath("run", "-w", "contended", "--path", "src/api", "--reject", "--", "true")
    assert refused.returncode == 6
    assert holder in refused.stderr
    beside = up.towpath("run", "-w", "contended", "--path", "docs", "--reject", "--", "true")
    assert beside.returncode == 0, beside.stderr

    waiter = up.create(["sh", "-c", "echo $TOWPATH_LOCK_TOKEN"], workspace="contended", lock_paths=["src"])
    assert up.task(waiter)["lock"]["blocked_by"] == [holder]
    let_go(root, holder)
    assert up.towpath("wait", waiter).returncode == 0
    token = next(event["seq"] for event in up.events(event="granted") if event["task_id"] == waiter)
    assert up.task(waiter)["output_tail"].strip() == str(token)
    assert up.towpath("wait", holder).returncode == 0


async def test_ctrl_c_leaves_no_process_and_a_restart_finds_everything_as_it_was(home: Home) -> None:
    up = home.up()
    root = up.workspace("shop")
    done = up.create(["echo", "done"])
    failed = up.create(["false"], workspace="shop", lock_paths=["else"])
    created = up.create(["true"], dispatch=False)
    by_hand = up.create(["true"], workspace="shop", lock_paths=["kept"], pool="mine")
    up.post(f"/runner/tasks/{by_hand}/status", {"status": "running"})
    interrupted = hold(up, root, "shop", ["src"])
    await eventually(lambda: up.ended(done), DEADLINE)
    await eventually(lambda: _listed(up)[failed]["lock"]["state"] == "released", DEADLINE)
    await eventually(lambda: _listed(up)[interrupted]["status"] == "running", DEADLINE)
    before = _listed(up)
    assert set(before) == {done, failed, created, by_hand, interrupted}
    del before[interrupted]
    log, workspaces, token = up.events(), up.get("/workspaces"), up.holders()[by_hand]

    assert up.server.interrupt() == 0
    assert home.processes() == []

    up = home.up()
    lost = await eventually(lambda: up.ended(interrupted), DEADLINE)
    assert (lost["status"], lost["reason"]) == ("failed", "runner-lost")
    assert {task_id: task for task_id, task in _listed(up).items() if task_id in before} == before
    assert up.events()[: len(log)] == log
    assert up.get("/workspaces") == workspaces
    assert await eventually(lambda: up.holders() == {by_hand: token}, DEADLINE)
    assert up.server.interrupt() == 0
    assert home.processes() == []


def test_a_second_one_in_the_same_directory_is_told_of_the_first(up: Up) -> None:
    second = up.home.run("up")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert up.url in second.stderr


def test_a_root_that_is_not_there_is_refused(home: Home) -> None:
    ended = home.run("up", "--root", "/no/such/root", "--port", "0", "--nats-port", "0")
    assert ended.returncode == 2
    assert "--root /no/such/root: there is no such directory" in ended.stderr


def _listed(up: Up) -> dict[str, Json]:
    """All tasks as the read model has them."""
    return {task["id"]: task for task in up.get("/tasks")["items"]}


def test_a_part_that_cannot_start_ends_it_and_says_why(home: Home) -> None:
    state = home.path / ".towpath" / "runner"
    state.mkdir(parents=True)
    (state / "runner.sqlite3").write_bytes(b"no database" * 1000)
    server = home.start("up", "--port", "0", "--nats-port", "0")
    assert server.process.wait(DEADLINE) == 1
    assert "runner.sqlite3 is damaged" in server.words
    assert "towpath: the runner keeps ending (last with 1)" in server.words
