"""Lists stay as cheap as their page: no query reads tasks but through an index range in list order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.read_model.database import create_tables, open_database
from adapters.read_model.queries import count_of_tasks, lock_facts, page_of_tasks
from domain.ports.read_model import TaskFilter

WHEN = datetime(2026, 3, 1, tzinfo=UTC)
CURSOR = "WyIyMDI2LTAzLTAxVDEyOjAwOjAwLjAwMDAwMFoiLCIwMTk4YzVhMi03YzFlLTdiYmQtOWY1ZS0wZDlhNGY2ZjFjMTEiXQ"
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
    "count": count_of_tasks(TaskFilter(("failed",), "acme"), 10_001),
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
    assert not scans, plan
    reads = [step for step in plan if "INDEX" in step or "PRIMARY KEY" in step]
    assert any(WANTED_INDEX.get(name, "") in step for step in reads), plan
    assert not any("RIGHT PART OF ORDER BY" in step for step in plan), plan
