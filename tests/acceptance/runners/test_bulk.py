"""Many tasks at once through the installed command: canceled and dispatched again, and who did it."""

from __future__ import annotations

import stat

import httpx

from tests.support.towpath import DEADLINE, Home
from tests.support.waiting import eventually

OPS, BOT = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


async def test_many_tasks_are_canceled_and_tried_again_by_named_callers(home: Home) -> None:
    tokens = home.path / "tokens"
    tokens.write_text(f"# callers\noperator=alice:{OPS}\nadmin=bot+behalf:{BOT}\n")
    tokens.chmod(stat.S_IRUSR | stat.S_IWUSR)
    up = home.up(TOWPATH_API_TOKENS_FILE=str(tokens))
    alice = {"TOWPATH_TOKEN": OPS}
    for number in range(3):
        up.towpath(
            "run", "--detach", "--label", f"n={number}", "--label", "kind=sleep", "sleep", "600", **alice
        )
    up.towpath("run", "--detach", "sleep", "600", **alice)

    def running() -> bool:
        return len(up.told("tasks", "-s", "running", **alice)) == 4

    await eventually(running, DEADLINE)
    refused = up.towpath("cancel", "--label", "kind=sleep", **alice)
    assert (refused.returncode, "cancels 3 tasks: 3 running" in refused.stderr) == (2, True)
    done = up.towpath("cancel", "--label", "kind=sleep", "--yes", "-o", "jsonl", **alice)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert "3 recorded" in done.stderr
    await eventually(lambda: len(up.told("tasks", "-s", "canceled", **alice)) == 3, DEADLINE)
    assert len(up.told("tasks", "-s", "running", **alice)) == 1, "the other one goes on"

    again = up.towpath("dispatch", "-s", "canceled", "--label", "n=1", "--since", "1h", "--yes", **alice)
    assert again.returncode == 0
    (row,) = up.told("tasks", "--label", "n=1", **alice)
    task = up.told("task", row["id"], **alice)
    assert task["attempt"] == 2
    bot = {"Authorization": f"Bearer {BOT}", "Towpath-On-Behalf-Of": "chat:7:bob", "Towpath-Role": "operator"}
    canceled = httpx.post(f"{up.url}/tasks/{task['id']}/cancel", headers=bot, json={"attempt": 1}, timeout=30)
    assert (canceled.status_code, canceled.json()["code"]) == (409, "changed")
    assert httpx.post(f"{up.url}/tasks/{task['id']}/cancel", headers=bot, timeout=30).status_code == 202
    trail = up.towpath("trail", task["id"], **alice).stdout
    assert "alice (operator)" in trail
    assert "bob (operator:bot/chat:7)" in trail
    asked = {one["event"] for one in up.told("events", "--actor", "bob", **alice)}
    assert asked <= {"cancel-requested", "canceled"}
    assert asked
