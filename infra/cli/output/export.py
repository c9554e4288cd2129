"""`towpath events --export`: events into JSON lines or Parquet, page by page.

A file appears under its name once it is complete. pyarrow is large and only needed for Parquet, so it is an
optional extra and imported only here.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from infra.cli.client.http import Json
from infra.cli.output.formats import json_line
from infra.config.private_files import create_private
from infra.errors.cli_error import CliError
from infra.errors.exit_codes import Exit

GROUP = 20_000
FORMATS = (".jsonl", ".parquet")


class Writer(Protocol):
    """Takes pages of events."""

    def write(self, events: Sequence[Json]) -> None:
        """Add them."""
        ...


def check_format(path: Path) -> None:
    """A usage error for a file name with an unknown format, or one that cannot be written here."""
    if path.suffix not in FORMATS:
        raise CliError(f"{path}: the name must end with {' or '.join(FORMATS)}", Exit.USAGE)
    if path.suffix == ".parquet":
        _arrow()


def export(path: Path, pages: Iterable[Sequence[Json]], progress: Callable[[int, int], None]) -> int:
    """Write all events to `path`; returns their number. `progress` gets it and the last event's sequence."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    try:
        with _writer(draft, path.suffix) as writer:
            for events in pages:
                writer.write(events)
                count += len(events)
                if events:
                    progress(count, events[-1]["seq"])
        draft.replace(path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
    return count


@contextlib.contextmanager
def _writer(path: Path, suffix: str) -> Iterator[Writer]:
    descriptor = create_private(path)  # other users must not read commands and outputs
    if suffix == ".parquet":
        os.close(descriptor)
        with _parquet(path) as parquet:
            yield parquet
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        yield _Lines(file)


class _Lines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, events: Sequence[Json]) -> None:
        self._file.writelines(json_line(event) + "\n" for event in events)


def _arrow() -> Any:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise CliError(
            "Parquet needs the package pyarrow: install `towpath[parquet]`, or export to a .jsonl file",
            Exit.USAGE,
        ) from None


@contextlib.contextmanager
def _parquet(path: Path) -> Iterator[Writer]:
    """Row groups of GROUP events; `data` is JSON text, `time` a timestamp in UTC."""
    arrow, parquet = _arrow()
    text = arrow.string()
    schema = arrow.schema(
        [
            arrow.field("seq", arrow.int64(), nullable=False),
            arrow.field("id", text, nullable=False),
            arrow.field("type", text, nullable=False),
            arrow.field("event", text, nullable=False),
            arrow.field("task_id", text),
            arrow.field("workspace", text),
            arrow.field("attempt", arrow.int32()),
            arrow.field("version", arrow.int32(), nullable=False),
            arrow.field("time", arrow.timestamp("us", tz="UTC"), nullable=False),
            arrow.field("actor", text, nullable=False),
            arrow.field("chain", text, nullable=False),
            arrow.field("data", text, nullable=False),
        ]
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        rows = _Rows(lambda found: file.write_table(arrow.Table.from_pylist(found, schema)))
        yield rows
        rows.flush()


class _Rows:
    """Gathers rows into groups: many small ones would make the file large and slow to read."""

    def __init__(self, write: Callable[[list[Json]], None]) -> None:
        self._write = write
        self._rows: list[Json] = []

    def write(self, events: Sequence[Json]) -> None:
        from infra.cli.output.durations import parse

        self._rows += [
            {**event, "time": parse(event["time"]), "data": json_line(event["data"])} for event in events
        ]
        if len(self._rows) >= GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._write(self._rows)
            self._rows = []
