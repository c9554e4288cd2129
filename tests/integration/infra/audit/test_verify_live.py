"""Verifying a real installation's store: its read model, a damaged copy of its files, bounded memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from infra.audit import task_states
from infra.audit.findings import VerifyReport
from infra.audit.verification import VerifyOptions, verify
from infra.composition import Core, open_checkpoint_signer, open_core
from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from projections.read_model import ReadModelProjection
from tests.bench.load.history import History
from tests.support.nats import StartNats


def settings_of(server: EmbeddedNats, data_dir: Path, **given: Any) -> Settings:
    return Settings(
        data_dir=data_dir,
        nats_url=server.url,
        nats_user=server.control.user,
        nats_password=server.control.password,
        nats_sync_interval="2m",
        checkpoint_events=50,
        **given,
    )


@asynccontextmanager
async def lived(settings: Settings, lives: int = 30) -> AsyncIterator[Core]:
    """An installation with a past, a read model and checkpoints."""
    async with open_core(settings, "test-verify") as core:
        history = History(core.connection, "w", 5)
        await history.register()
        await history.lives(lives)
        await history.open_tasks(3)
        async with open_checkpoint_signer(core) as signer:
            while await signer.sign_due():
                pass
        await ReadModelProjection(core.reader, core.read_model).replay(await core.reader.last_seq())
        yield core


async def verified(settings: Settings, **wanted: Any) -> VerifyReport:
    return await verify(settings, VerifyOptions(**wanted), lambda done, total: None)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def test_the_read_model_equals_a_replay(
    nats_server: EmbeddedNats, tmp_path: Path, database_url: str | None
) -> None:
    settings = settings_of(nats_server, tmp_path / "data", database_url=database_url)
    async with lived(settings) as core:
        report = await verified(settings)
        assert report.findings == []
        assert report.notes == []
        assert (report.events, report.tasks_compared) == (5 + 30 * 7 + 3 * 2, 33)
        assert report.covered_upto == 200
        async with core.engine.begin() as connection:
            changed = (
                await connection.execute(text("SELECT id, seq FROM tasks WHERE status = 'succeeded'"))
            ).first()
            assert changed is not None
            await connection.execute(
                text("UPDATE tasks SET exit_code = 7 WHERE id = :id"), {"id": changed.id}
            )
        first = (await verified(settings)).first
        assert first is not None
        assert first.kind == "read-model"
        assert changed.id in first.sentence
        assert (await verified(settings, read_model=False)).findings == []


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DELETE FROM tasks WHERE id = (SELECT min(id) FROM tasks)", "lacks task"),
        (
            "UPDATE grants SET released_seq = released_seq + 1 WHERE task_id = (SELECT min(id) FROM tasks)",
            "otherwise",
        ),
        ("INSERT INTO task_labels SELECT 'k', 'v', created_at, id FROM tasks LIMIT 1", "otherwise"),
        ("UPDATE tasks SET id = 'zz' WHERE id = (SELECT min(id) FROM tasks)", "not in the log"),
        ("UPDATE positions SET seq = 100000", "the log ends at"),
    ],
)
async def test_a_changed_read_model_is_found(
    nats_server: EmbeddedNats, tmp_path: Path, damage: str, words: str
) -> None:
    settings = settings_of(nats_server, tmp_path / "data")
    async with lived(settings) as core:
        async with core.engine.begin() as connection:
            await connection.execute(text(damage))
        assert any(words in one.sentence for one in (await verified(settings)).findings)


async def test_a_read_model_that_lags_is_compared_as_far_as_it_has_come(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    settings = settings_of(nats_server, tmp_path / "data")
    async with lived(settings) as core:
        history = History(core.connection, "more", 5)
        await history.register()
        await history.lives(5)
        report = await verified(settings)
        assert report.findings == []
        assert "what came later was not compared" in report.notes[0]


async def test_tasks_that_were_put_aside_are_still_checked_and_compared(
    nats_server: EmbeddedNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_states, "KEPT", 4)
    monkeypatch.setattr(task_states, "SPILLED_AT_ONCE", 2)
    settings = settings_of(nats_server, tmp_path / "data")
    async with lived(settings) as core:
        report = await verified(settings)
        assert (report.findings, report.tasks_compared) == ([], 33)
        async with core.engine.begin() as connection:
            await connection.execute(
                text("UPDATE tasks SET title = 'x' WHERE id = (SELECT min(id) FROM tasks)")
            )
        assert [one.kind for one in (await verified(settings)).findings] == ["read-model"]


async def test_a_byte_changed_in_a_copy_of_the_stores_files_is_found(
    nats_server: EmbeddedNats, start_nats: StartNats, tmp_path: Path
) -> None:
    settings = settings_of(nats_server, tmp_path / "data")
    async with lived(settings) as core:
        (event,) = await core.reader.at([77])
    nats_server.stop()
    store = next(tmp_path.glob("nats*/nats"))
    copied = tmp_path / "nats1"
    shutil.copytree(store.parent, copied)
    changed = 0
    for block in copied.rglob("*.blk"):
        content = block.read_bytes()
        if event.id.encode() in content:
            at = content.index(event.id.encode()) + len(event.id)
            at = content.index(b'"', at)
            block.write_bytes(content[: at + 1] + b"X" + content[at + 2 :])
            changed += 1
    assert changed == 1
    copy = start_nats()
    report = await verified(settings_of(copy, tmp_path / "data"))
    assert report.first is not None, json.dumps(report.as_json())
    assert report.first.seq == 77


async def test_a_read_model_of_another_version_is_not_compared(
    nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    settings = settings_of(nats_server, tmp_path / "data")
    async with lived(settings) as core:
        async with core.engine.begin() as connection:
            await connection.execute(text("UPDATE schema_version SET version = 0"))
        report = await verified(settings)
        assert (report.findings, report.tasks_compared) == ([], 0)
        assert "another version" in report.notes[0]
