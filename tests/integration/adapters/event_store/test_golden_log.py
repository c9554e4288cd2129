"""A log that this version wrote, loaded into a real server: what comes later must read all of it, the same.

`tests/golden/log.v1.jsonl` was recorded from `towpath up`, under the secret key below, and holds every type
of event that there was. It is never changed: what came later has files of its own, of questions
`log.questions.v1.jsonl`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from pydantic import SecretStr

from adapters.crypto.env_encryption import AesGcmEnvCipher
from adapters.read_model.database import create_tables, open_database
from adapters.read_model.store import SqlReadModel
from domain.locks.table import LockTable
from domain.log.events import EVENTS, type_name
from domain.ports.read_model import TaskFilter
from domain.task.view import task_read
from infra.audit.verification import VerifyOptions, verify
from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from projections.read_model import ReadModelProjection
from tests.support.log_harness import jetstream_harness
from tests.support.repository import GOLDEN

GOLDEN_LOG = GOLDEN / "log.v1.jsonl"
LOG_OF_QUESTIONS = GOLDEN / "log.questions.v1.jsonl"
KEY = b"the key of the golden log"
ENDS = {
    "ends well": ("succeeded", None, "released"),
    "fails": ("failed", "exit", "released"),
    "holds": ("canceled", None, "released"),
    "refused": ("submit-failed", "workspace-locked", "none"),
    "released by hand": ("canceled", None, "released"),
    "dispatched too late": ("submit-failed", "workspace-changed", "none"),
    "nobody serves it": ("submit-failed", "no-runner", "none"),
    "never dispatched": ("created", None, "none"),
    "still held": ("running", None, "held"),
    "still waiting": ("dispatched", None, "waiting"),
}


def recorded(path: Path = GOLDEN_LOG) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def load(connection: Client, path: Path = GOLDEN_LOG) -> int:
    """Append all of it as it was appended; the last sequence."""
    seq = 0
    for one in recorded(path):
        subject = one["subject"].replace("towpath.", "towpath.append.", 1)
        ack = await connection.jetstream().publish(subject, one["data"].encode(), headers=one["headers"])
        seq = ack.seq
        assert seq == one["seq"]
    return seq


def test_every_type_of_event_is_in_it() -> None:
    found = {one["headers"]["ce-type"] for one in recorded()}
    assert found >= {type_name(*key) for key in EVENTS if key in _OF_THIS_VERSION}


_OF_THIS_VERSION = {
    ("task", "created"),
    ("task", "dispatched"),
    ("task", "queued"),
    ("task", "running"),
    ("task", "succeeded"),
    ("task", "failed"),
    ("task", "cancel-requested"),
    ("task", "canceled"),
    ("task", "submit-failed"),
    ("task", "lock-release-requested"),
    ("workspace", "registered"),
    ("workspace", "removed"),
    ("lock", "granted"),
    ("lock", "refused"),
    ("lock", "released"),
}


async def test_everything_reads_it(nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path) -> None:
    last = await load(js_connection)
    harness = jetstream_harness(js_connection, grouped=False)

    engine = open_database(f"sqlite:///{tmp_path / 'read-model.db'}")
    await create_tables(engine)
    model = SqlReadModel(engine)
    await ReadModelProjection(harness.reader, model).replay(last)
    tasks, _ = await model.find(TaskFilter(), 100, None)
    found = {task.title: (task.status.value, task.reason, task.lock.state) for task in tasks}
    assert found == ENDS
    await engine.dispose()

    for task in tasks:
        stored = await harness.tasks.load(task.id)
        assert stored is not None
        assert stored.task.status == task.status
    (sealed,) = [task for task in tasks if task.title == "ends well"]
    stored = await harness.tasks.load(sealed.id)
    assert stored is not None
    assert AesGcmEnvCipher(KEY).decrypt(sealed.id, stored.task.spec.env) == {"NAME": "bär"}

    table = LockTable()
    for event in await harness.reader.page(0, last):
        table.fold(event)
    titles = {task.id: task.title for task in tasks}
    assert [titles[grant.claim.task_id] for grant in table.holders("shop")] == ["still held"]
    assert [titles[waiter.claim.task_id] for waiter in table.waiters("shop")] == ["still waiting"]
    assert table.pending() == []

    report = await verify(_settings(nats_server, tmp_path), VerifyOptions(), lambda *_: None)
    assert report.findings == []
    assert [note for note in report.notes if note.startswith("void")] == [
        "void, since something else came first: 1 dispatched, 1 registered, 1 removed (the first at sequence "
        "52); such events change nothing"
    ]
    assert (report.events, report.tasks_compared) == (last, len(tasks))


def _settings(server: EmbeddedNats, data_dir: Path) -> Settings:
    return Settings(
        nats_url=server.url,
        nats_user=server.control.user,
        nats_password=SecretStr(server.control.password or ""),
        data_dir=data_dir,
    )


async def test_everything_reads_the_log_of_questions(
    nats_server: EmbeddedNats, js_connection: Client, tmp_path: Path
) -> None:
    last = await load(js_connection, LOG_OF_QUESTIONS)
    harness = jetstream_harness(js_connection, grouped=False)
    engine = open_database(f"sqlite:///{tmp_path / 'read-model.db'}")
    await create_tables(engine)
    model = SqlReadModel(engine)
    await ReadModelProjection(harness.reader, model).replay(last)
    tasks, _ = await model.find(TaskFilter(), 100, None)
    asking, _ = await model.find(TaskFilter(asking=True), 100, None)
    await engine.dispose()
    assert [(one.title, one.question.default) for one in asking if one.question] == [
        ("asks again in its next attempt", "later")
    ]
    told = {}
    for task in tasks:
        stored = await harness.tasks.load(task.id)
        assert stored is not None
        assert task_read(stored.task, stored.seq).question == task.question
        answers = [one.answer for one in stored.task.questions]
        told[task.title] = [answer and (answer.choice, answer.text, answer.cause) for answer in answers]
    assert told == {
        "answered": [("yes", None, "person"), (None, "the blue one", "person")],
        "expired": [("no", None, "expired")],
        "canceled while it asked": [None],
        "asks again in its next attempt": [None, None],
    }
    report = await verify(_settings(nats_server, tmp_path), VerifyOptions(), lambda *_: None)
    assert (report.findings, report.events, report.tasks_compared) == ([], last, len(tasks))
