"""`python -m bench`: the recorders on JetStream beside the `eventsourcing` library's own.

Everything runs on this machine, one store after the other; SQLite and `always` sync each write to the disk,
`interval` and memory do not.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent

from bench.server import running_server

STATE = b'{"amount":"10.00","timestamp":{"_type_":"datetime_iso","_data_":"2026-01-01T00:00:00+00:00"}}'
EVENTS_READ = 50


def main() -> None:
    """Measure each store and print a table: per second, and divided by SQLite's."""
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, store in _stores(Path(directory)):
            with store as factory:
                figures[name] = _measure(factory.application_recorder())
    names = list(figures)
    print_row("per second", [*names, *(f"{name} / sqlite" for name in names if name != "sqlite")])
    print_row("---", ["---:"] * (2 * len(names) - 1))
    for what in figures["sqlite"]:
        base = figures["sqlite"][what]
        cells = [f"{figures[name][what]:,.0f}" for name in names]
        print_row(what, cells + [f"{figures[name][what] / base:.2f}" for name in names if name != "sqlite"])


def print_row(first: str, cells: list[str]) -> None:
    """One line of the table."""
    sys.stdout.write(f"| {' | '.join([first, *cells])} |\n")


def _stores(
    directory: Path,
) -> Iterator[tuple[str, contextlib.AbstractContextManager[InfrastructureFactory]]]:
    yield "memory", _factory({"PERSISTENCE_MODULE": "eventsourcing.popo"})
    sqlite = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(directory / "events.db")}
    yield "sqlite", _factory(sqlite)
    yield "always", _nats(directory / "always", "always")
    yield "interval", _nats(directory / "interval", "2m")


@contextlib.contextmanager
def _factory(env: dict[str, str]) -> Iterator[InfrastructureFactory]:
    made: InfrastructureFactory = InfrastructureFactory.construct(env)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def _nats(directory: Path, sync_interval: str) -> Iterator[InfrastructureFactory]:
    with (
        running_server(directory, sync_interval) as url,
        _factory({"PERSISTENCE_MODULE": "eventsourcing_nats", "NATS_URL": url}) as made,
    ):
        yield made


def _measure(recorder: ApplicationRecorder) -> dict[str, float]:
    long_lived = uuid4()
    _append(recorder, long_lived, EVENTS_READ)

    def many() -> None:
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: recorder.insert_events(_events(uuid4(), 1)), range(800)))

    return {
        "saves of 1 event": 300 / _seconds(lambda: _append(recorder, uuid4(), 300)),
        "saves of 1 event, 16 threads": 800 / _seconds(many),
        "events in saves of 50": 2000
        / _seconds(lambda: _repeat(40, lambda: recorder.insert_events(_events(uuid4(), 50)))),
        f"loads of {EVENTS_READ} events": 200
        / _seconds(lambda: _repeat(200, lambda: recorder.select_events(long_lived))),
        "events read in order": _read_rate(recorder),
    }


def _read_rate(recorder: ApplicationRecorder) -> float:
    read = 0

    def pages() -> None:
        nonlocal read
        start = 1
        while page := recorder.select_notifications(start, 500):
            read += len(page)
            start = page[-1].id + 1

    seconds = _seconds(pages)
    return read / seconds


def _append(recorder: ApplicationRecorder, originator: UUID, count: int) -> None:
    for event in _events(originator, count):
        recorder.insert_events([event])


def _events(originator: UUID, count: int) -> list[StoredEvent]:
    return [
        StoredEvent(originator, version, "shop.domain:Order.Paid", STATE) for version in range(1, count + 1)
    ]


def _repeat(times: int, work: Callable[[], object]) -> None:
    for _ in range(times):
        work()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
