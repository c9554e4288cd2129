"""The blocks of docs/asking.md do what the page says."""

from __future__ import annotations

import re

from tests.support.documents.readme import blocks, console
from tests.support.repository import REPO
from tests.support.towpath import DEADLINE, Up
from tests.support.waiting import eventually

PAGE = REPO / "docs" / "asking.md"
SCRIPTS = {block.heading: block.text for block in blocks(PAGE) if block.language == "sh"}


async def test_the_script_asks_and_the_commands_answer(up: Up) -> None:
    run, *others = console(PAGE, "In a shell")
    (up.home.path / "deploy.sh").write_text(SCRIPTS["In a shell"])
    started = up.home.program(
        "sh", "-c", run.replace("deploy.sh", f"{up.home.path}/deploy.sh"), TOWPATH_URL=up.url
    )
    task_id = started.stdout.strip()
    await eventually(lambda: any(one["task_id"] == task_id for one in up.told("questions")), DEADLINE)
    for line in others:
        shown = up.home.program("sh", "-c", re.sub(r"\bID\b", task_id, line), TOWPATH_URL=up.url)
        assert shown.returncode == 0, f"{line}\n{shown.stderr}"
        if line != "towpath answer ID yes":
            assert "Deploy to production?" in " ".join(shown.stdout.split())
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert (task["status"], task["output_tail"].splitlines()[-1]) == ("succeeded", "deploying")


async def test_curl_asks_and_waits(up: Up) -> None:
    task_id = up.create(["sh", "-c", SCRIPTS["From any program"]])
    await eventually(lambda: up.task(task_id)["question"], DEADLINE)
    assert up.towpath("answer", task_id, "green").returncode == 0
    task = await eventually(lambda: up.ended(task_id), DEADLINE)
    assert task["output_tail"].splitlines()[-1] == '"answer":"green"'
