"""A damaged store on a real server: whatever bytes are wrong, the check before the start finds it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from nats.aio.client import Client

from adapters.crypto.checkpoint_keys import CheckpointKey, PublicKeys
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.reading.raw_reader import RawLog
from adapters.read_model.database import create_tables, open_database
from infra.config.settings import Settings
from infra.maintenance.log_check import LogDamaged, Range, check_log, ranges
from infra.nats.binary import EmbeddedNatsError
from infra.nats.connection import connect
from infra.nats.embedded_server import EmbeddedNats
from infra.nats.streams import ensure_streams
from projections.checkpoint_signer import CheckpointSigner
from tests.support.messages import now
from tests.support.nats import append

EVENTS = 60
SEALED = 40
KEY = CheckpointKey("11" * 32)
Damage = Callable[[Path], None]


async def _on(data_dir: Path, do: Callable[[Client, Settings, EmbeddedNats], Awaitable[None]]) -> None:
    """Do something with a server on this data directory, which ends cleanly."""
    server = EmbeddedNats(data_dir, 0)
    server.start()
    settings = Settings(data_dir=data_dir, nats_port=int(server.url.rpartition(":")[2]))
    connection = await connect(settings, "test")
    try:
        await do(connection, settings, server)
    finally:
        await connection.close()
        server.stop()


async def _fill(connection: Client, settings: Settings, _: EmbeddedNats) -> None:
    await ensure_streams(connection)
    for number in range(EVENTS):
        await append(connection, f"T{number}", "created", 0, b"x" * 200)
        if number + 1 == SEALED:
            log, kept = RawLog(connection), JetStreamLogCheckpoints(connection)
            assert await CheckpointSigner(log, kept, KEY, PublicKeys([KEY.public]), now, SEALED, 0).sign_due()
    await _stand_at(settings, EVENTS)


async def _stand_at(settings: Settings, seq: int) -> None:
    """Let the read model say that it has applied the log up to `seq`."""
    engine = open_database(settings.read_model_url)
    await create_tables(engine)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"UPDATE positions SET seq = {seq}")
    await engine.dispose()


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose server has stopped: EVENTS events, a checkpoint, a read model."""
    made = tmp_path_factory.mktemp("genuine") / "data"
    asyncio.run(_on(made, _fill))
    return made


@pytest.fixture
def copy(genuine: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(genuine, tmp_path / "copy"))


def _file(data_dir: Path, name: str, stream: str = "TOWPATH") -> Path:
    return data_dir / "nats" / "jetstream" / "TOWPATH" / "streams" / stream / name


def _flip(path: Path, at: float) -> None:
    """Flip bits of the byte that stands at this share of the file."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 0x55
    path.write_bytes(content)


def _block(at: float, *, index: bool = True) -> Damage:
    def damage(data_dir: Path) -> None:
        _flip(_file(data_dir, "msgs/1.blk"), at)
        if not index:
            _file(data_dir, "msgs/index.db").unlink()

    return damage


def _cut(share: float, *, index: bool = True) -> Damage:
    def damage(data_dir: Path) -> None:
        path = _file(data_dir, "msgs/1.blk")
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        if not index:
            _file(data_dir, "msgs/index.db").unlink()

    return damage


def _gone(*names: str, stream: str = "TOWPATH") -> Damage:
    def damage(data_dir: Path) -> None:
        for name in names:
            _file(data_dir, name, stream).unlink()

    return damage


async def _checked(data_dir: Path) -> str | None:
    """What the check says of it; None: it is whole."""
    said: list[str] = []

    async def check(connection: Client, settings: Settings, server: EmbeddedNats) -> None:
        try:
            await check_log(connection, settings, server.store)
        except LogDamaged as error:
            said.append(str(error))

    await _on(data_dir, check)
    return said[0] if said else None


async def test_a_whole_store_is_whole(copy: Path) -> None:
    assert await _checked(copy) is None
    _flip(_file(copy, "msgs/index.db"), 0.5)  # made anew from the blocks
    assert await _checked(copy) is None


DAMAGES: dict[str, Damage] = {
    "a byte in the middle": _block(0.52),
    "a byte in the middle, after a crash": _block(0.52, index=False),
    "a byte at the end": _block(0.999),
    "a byte at the end, after a crash": _block(0.999, index=False),
    "a byte at the start": _block(0.0),
    "a byte at the start, after a crash": _block(0.0, index=False),
    "a byte in a length": lambda data_dir: _flip(_file(data_dir, "msgs/1.blk"), 2e-4),
    "a block cut in half": _cut(0.5),
    "a block cut in half, after a crash": _cut(0.5, index=False),
    "an empty block": _cut(0),
    "an empty block, after a crash": _cut(0, index=False),
    "no block": _gone("msgs/1.blk"),
    "no block and no index": _gone("msgs/1.blk", "msgs/index.db"),
    "no description": _gone("meta.inf"),
    "a byte in the description": lambda data_dir: _flip(_file(data_dir, "meta.inf"), 0.5),
    "no checkpoints": _gone("msgs/1.blk", stream="TOWPATH_CHECKPOINT"),
    "a byte in the checkpoints": lambda d: _flip(_file(d, "msgs/1.blk", "TOWPATH_CHECKPOINT"), 0.5),
    "no description of the checkpoints": _gone("meta.inf", stream="TOWPATH_CHECKPOINT"),
    "no description of another stream": _gone("meta.inf", stream="TOWPATH_REPORT"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_store_is_found_again_and_again(copy: Path, damage: Damage) -> None:
    """Also at the second try: a server that starts mends its files to what it could read."""
    damage(copy)
    for _ in range(2):
        said = await _checked(copy)
        assert said is not None
        assert "\n" not in said
        assert "nothing was started; run `towpath verify`, then `towpath restore`" in said


def test_a_store_on_which_the_server_hangs_is_said(copy: Path) -> None:
    """A sequence far beyond all others: nats-server counts up to it."""
    path = _file(copy, "msgs/1.blk")
    content = bytearray(path.read_bytes())
    at = content.index(b"towpath.task.T30.created") - 22 + 4 + 5
    content[at] ^= 0x55
    path.write_bytes(content)
    server = EmbeddedNats(copy, 0, start_timeout_seconds=3)
    with pytest.raises(EmbeddedNatsError, match=r"files in .* are damaged"):
        server.start()
    assert server.pid is None


async def test_what_is_missing_is_named(copy: Path) -> None:
    _cut(0.5)(copy)
    said = await _checked(copy)
    assert said is not None
    assert "events " in said
    assert f" to {EVENTS} are missing" in said


async def test_a_tail_that_only_the_read_model_has_seen_is_missed(copy: Path) -> None:
    await _stand_at(Settings(data_dir=copy), EVENTS + 3)
    said = await _checked(copy)
    assert said is not None
    assert f"events {EVENTS + 1} to {EVENTS + 3} are missing (it ends at {EVENTS}, but the read model" in said
    assert "towpath replay --rebuild" in said


async def test_an_empty_directory_is_whole(tmp_path: Path) -> None:
    assert await _checked(tmp_path / "new") is None


@pytest.mark.parametrize(
    ("seqs", "found"),
    [((), []), ((1,), [(1, 1)]), ((2, 3, 4, 9), [(2, 4), (9, 9)]), ((1, 3, 5), [(1, 1), (3, 3), (5, 5)])],
)
def test_sequences_become_ranges(seqs: tuple[int, ...], found: list[tuple[int, int]]) -> None:
    assert list(ranges(seqs)) == [Range(*one) for one in found]
