"""Reads the log of an installation whose server is down, from a copy with a server of its own.

nats-server changes its files at start: it drops what it cannot read. To leave a damaged log as it is, the
server starts on a copy in a temporary directory, on loopback and a free port. Both are removed afterwards;
the original is only read.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from infra.plural import mebibytes

READ_MODEL = "read-model.db"
SPARE_BYTES = 64 << 20
Words = Callable[[str], None]


class CannotCopy(Exception):
    """The log cannot be read from a copy; the message says why."""


def is_down(settings: Settings) -> bool:
    """Whether the data directory holds a log and no server runs on it."""
    data_dir = settings.data_dir
    if settings.nats_url is not None or not (data_dir / "nats" / "jetstream").is_dir():
        return False
    try:
        descriptor = os.open(data_dir / "nats.lock", os.O_RDONLY)
    except OSError:
        return True  # the server never started here, or the log was copied without its lock
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def readable(settings: Settings, say: Words) -> Iterator[Settings]:
    """Settings to read the log with: the given ones, or those of a server on a copy if theirs is down.

    Main thread only, like the server. Raises CannotCopy, EmbeddedNatsError, OSError.
    """
    if not is_down(settings):
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="towpath-copy-") as made:
        copy = Path(made)
        size = _copy(settings.data_dir, copy)
        server = EmbeddedNats(copy, 0, sync_interval="2m", guest=False)
        server.start()
        say(
            f"no server works on {settings.data_dir}: reading a copy of its log ({mebibytes(size)}) with a "
            "server of its own; nothing there is changed"
        )
        try:
            yield _on_copy(settings, server, copy)
        finally:
            server.stop()


def _on_copy(settings: Settings, server: EmbeddedNats, copy: Path) -> Settings:
    keys = settings.checkpoint_keys(make=False)
    return settings.model_copy(
        update={
            "data_dir": copy,
            "nats_url": server.url,
            "nats_user": server.control.user,
            "nats_password": SecretStr(server.control.password or ""),
            "checkpoint_key": SecretStr(",".join(keys)) if keys else None,
        }
    )


def _copy(data_dir: Path, copy: Path) -> int:
    """Copy the streams and the read model; returns the bytes. No links: the server writes to its files."""
    store = data_dir / "nats"
    model = [one for one in data_dir.glob(f"{READ_MODEL}*") if one.is_file()]
    size = sum(one.lstat().st_size for one in [*store.rglob("*"), *model] if one.is_file())
    free = shutil.disk_usage(copy).free
    if size + SPARE_BYTES > free:
        raise CannotCopy(
            f"the log in {data_dir} is read on a copy, which needs {mebibytes(size + SPARE_BYTES)}, but "
            f"{copy.parent} has {mebibytes(free)} free: let TMPDIR name a directory with more room, or start "
            "`towpath up`"
        )
    shutil.copytree(store, copy / "nats", symlinks=True)
    for one in model:
        shutil.copy2(one, copy / one.name)
    return size
