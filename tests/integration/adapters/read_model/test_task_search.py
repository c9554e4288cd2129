"""Lists stay as cheap as their page: no query reads tasks but through an index range in list order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.queries import failures_since, lock_facts, newest_failures
from adapters.read_model.task_search import COUNT_EXAMINED, EXAMINED, search_of
from domain.ports.read_model import TaskFilter

WHEN = datetime(2026, 3, 1, tzinfo=UTC)
CURSOR = "WyIyMDI2LTAzLTAxVDEyOjAwOjAwLjAwMDAwMFoiLCIwMTk4YzVhMi03YzFlLTdiYmQtOWY1ZS0wZDlhNGY2ZjFjMTEiXQ"


def page_of_tasks(wanted: TaskFilter, limit: int, after: str | None) -> Select[Any]:
    return search_of(wanted, after).page(limit)


def last_examined(wanted: TaskFilter) -> Select[Any]:
    found = search_of(wanted).last_examined(EXAMINED)
    assert found is not None
    return found


EVERY = TaskFilter(
    ("failed",), "acme", "gpu", (("team", "a"),), WHEN, None, True, "r1", "exit", WHEN, WHEN, WHEN,
    words=("a", "b"), exit_code=3, lock="held", min_attempt=2,
)  # fmt: skip
QUERIES = {
    "all": page_of_tasks(TaskFilter(), 50, None),
    "second page": page_of_tasks(TaskFilter(), 50, CURSOR),
    "status": page_of_tasks(TaskFilter(status=("running",)), 50, CURSOR),
    "workspace": page_of_tasks(TaskFilter(workspace="acme"), 50, CURSOR),
    "workspace and status": page_of_tasks(TaskFilter(("failed",), "acme"), 50, None),
    "pool and status": page_of_tasks(TaskFilter(("failed",), pool="gpu"), 50, None),
    "label": page_of_tasks(TaskFilter(labels=(("team", "a"),)), 50, CURSOR),
    "label and status": page_of_tasks(TaskFilter(("failed",), labels=(("team", "a"),)), 50, None),
    "labels and runner": page_of_tasks(
        TaskFilter(labels=(("team", "a"), ("n", "1")), runner="r1"), 50, CURSOR
    ),
    "count": search_of(TaskFilter(("failed",), "acme")).count(10_001),
    "row": search_of(TaskFilter()).page(50, brief=True),
    "oldest": page_of_tasks(TaskFilter(("failed",), oldest_first=True), 50, None),
    "oldest, second page": page_of_tasks(TaskFilter(workspace="acme", oldest_first=True), 50, CURSOR),
    "runner": page_of_tasks(TaskFilter(runner="r1"), 50, CURSOR),
    "reason": page_of_tasks(TaskFilter(reason="exit"), 50, CURSOR),
    "exit code": page_of_tasks(TaskFilter(exit_code=3), 50, CURSOR),
    "exit code 0": page_of_tasks(TaskFilter(exit_code=0), 50, CURSOR),
    "lock": page_of_tasks(TaskFilter(lock="waiting"), 50, CURSOR),
    "attempts": page_of_tasks(TaskFilter(min_attempt=2), 50, CURSOR),
    "more attempts": page_of_tasks(TaskFilter(("failed",), min_attempt=3), 50, CURSOR),
    "asking": page_of_tasks(TaskFilter(("running",), asking=True), 50, CURSOR),
    "ids": page_of_tasks(TaskFilter(ids=("a", "b")), 50, None),
    "words": page_of_tasks(TaskFilter(words=("a", "b")), 50, CURSOR),
    "words and workspace": page_of_tasks(TaskFilter(workspace="acme", words=("a",)), 50, None),
    "count of words": search_of(TaskFilter(words=("a",))).count(10_001),
    "last examined of words": last_examined(TaskFilter(words=("a",))),
    "last examined of a runner": last_examined(TaskFilter(("failed",), runner="r1")),
    "everything": page_of_tasks(EVERY, 50, None),
    "count of everything": search_of(EVERY).count(10_001),
    "failures": failures_since(WHEN, COUNT_EXAMINED),
    "newest failures": newest_failures(WHEN, 3),
    "since": page_of_tasks(TaskFilter(created_after=WHEN), 50, None),
    "part of an id": page_of_tasks(TaskFilter(id_part="6f1c11"), 50, None),
    "part of an id and all else": page_of_tasks(
        TaskFilter(("failed",), "acme", "gpu", (("team", "a"),), WHEN, "6f1c11"), 50, CURSOR
    ),
    "lock history": lock_facts("acme", None, 50),
}
WANTED_INDEX = {
    "workspace": "tasks_by_workspace (workspace=? AND status=?",
    "workspace and status": "tasks_by_workspace (workspace=? AND status=?",
    "pool and status": "tasks_by_pool (pool=? AND status=?",
    "status": "tasks_by_status (status=?",
    "part of an id": "tasks_by_end_of_id (<expr>=?",
    "part of an id and all else": "tasks_by_end_of_id (<expr>=?",
    "runner": "tasks_by_runner (runner_id=?",
    "reason": "tasks_by_reason (reason=?",
    "exit code": "tasks_by_exit_code (exit_code=?",
    "lock": "tasks_by_lock (lock_state=?",
    "attempts": "tasks_tried_again (",
    "more attempts": "tasks_tried_again (",
    "asking": "tasks_asking (asked_at>?",
    "words": "tasks_by_status (status=?",
    "words and workspace": "tasks_by_workspace (workspace=? AND status=?",
    "last examined of words": "tasks_by_status (status=?",
    "last examined of a runner": "tasks_by_runner (runner_id=?",
    "everything": "tasks_by_lock (lock_state=?",
    "failures": "COVERING INDEX tasks_failed (ended_at>?",
    "newest failures": "INDEX tasks_failed (ended_at>?",
    "lock history": "grants_by_workspace (workspace=?",
}


@pytest.mark.parametrize("name", QUERIES)
async def test_pages_read_index_ranges_only(name: str, tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'read.db'}")
    await create_tables(engine)
    sql = str(QUERIES[name].compile(engine, compile_kwargs={"literal_binds": True}))
    async with engine.connect() as connection:
        plan = [row[3] for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    await engine.dispose()
    scans = [step for step in plan if step.startswith("SCAN") and ("tasks" in step or "grants" in step)]
    assert set(scans) <= {"SCAN tasks USING COVERING INDEX tasks_tried_again"}, plan
    reads = [step for step in plan if "INDEX" in step or "PRIMARY KEY" in step]
    assert any(WANTED_INDEX.get(name, "") in step for step in reads), plan
    assert not any("RIGHT PART OF ORDER BY" in step for step in plan), plan


async def test_postgres_counts_failures_from_the_index_alone(postgres_url: str) -> None:
    engine = open_database(postgres_url)
    await create_tables(engine)
    sql = str(QUERIES["failures"].compile(engine.sync_engine, compile_kwargs={"literal_binds": True}))
    async with engine.connect() as connection:
        for other in ("seqscan", "bitmapscan"):  # which are cheaper for an empty table
            await connection.exec_driver_sql(f"SET enable_{other} = off")
        plan = [row[0] for row in await connection.exec_driver_sql(f"EXPLAIN {sql}")]
    await engine.dispose()
    assert any("Index Only Scan" in step and "tasks_failed" in step for step in plan), plan
