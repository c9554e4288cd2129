"""`python -m tests.bench`: measures all rows and prints them; what it is doing goes to stderr.

A row that fails says so and the others still run; the exit code is then 1. A missed goal is a result, no
error. Everything lies in a directory that is removed at the end, and listens on loopback only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from infra.composition import open_core
from infra.config.settings import Settings
from tests.bench.child import in_child
from tests.bench.figures import ALWAYS, GOALS, INTERVAL, Row, as_json, as_table, row
from tests.bench.harness import Harness
from tests.bench.load.history import EVENTS_PER_LIFE, History
from tests.bench.rows import (
    contention,
    evidence,
    growth,
    growth_pages,
    handoff,
    lifecycles,
    lock_command,
    memory,
    output,
    output_cost,
    replay,
    reports,
    tasks,
)
from tests.bench.sizes import QUICK, Sizes

FILL_SECONDS = 300.0
_ENVIRONMENT = ("TOWPATH_", "API_", "HOST_RUNNER_URL")


class Bench:
    """One run: the rows so far, and which are wanted."""

    def __init__(self, home: Path, sizes: Sizes, wanted: str) -> None:
        self._home, self._sizes, self._wanted = home, sizes, wanted
        self._started = time.monotonic()
        self._grounds = 0
        self.rows: list[Row] = []
        self.failed = False

    def run(self) -> None:
        """Measure everything that is wanted."""
        for mode in (ALWAYS, INTERVAL):
            self._group(tasks.names(mode), partial(self._tasks, mode))
            self._throughput(mode)
        self._group(contention.NAMES, self._contention)
        self._group(lock_command.NAMES, partial(self._on_fresh, ALWAYS, lock_command.measure))
        self._group(output.NAMES, partial(self._on_fresh, ALWAYS, output.measure))
        self._group(output_cost.NAMES, partial(self._on_fresh, ALWAYS, output_cost.measure))
        self._history()

    def _throughput(self, mode: str) -> None:
        groups: list[tuple[list[str], Callable[[Harness, Sizes], list[Row]]]] = [
            (reports.names(mode), reports.measure),
            ([f"lifecycles/{mode}"], lifecycles.measure),
            ([f"handoff-p50/{mode}", f"handoff-p99/{mode}"], handoff.measure),
        ]
        for names, measure in groups:
            self._group(names, partial(self._on_fresh, mode, measure))

    def _on_fresh(self, mode: str, measure: Callable[[Harness, Sizes], list[Row]]) -> list[Row]:
        with self._harness(mode) as harness:
            return measure(harness, self._sizes)

    def _tasks(self, mode: str) -> list[Row]:
        with tempfile.TemporaryDirectory(dir=self._home, prefix="up-") as home:
            return tasks.measure(Path(home), mode, self._sizes)

    def _contention(self) -> list[Row]:
        with ExitStack() as stack:
            harnesses = [stack.enter_context(self._harness(INTERVAL)) for _ in self._sizes.waiters]
            return contention.measure(harnesses, self._sizes)

    def _history(self) -> None:
        """The rows about a long log, which share one: filling it is most of their work."""
        sizes = self._sizes
        rest = ["replay", *growth.NAMES, "memory", *evidence.NAMES, *growth_pages.NAMES]
        if not any(self._is_wanted(name) for name in rest):
            return
        try:
            with self._harness(INTERVAL) as small, self._harness(INTERVAL) as large:
                waiting = 2 * sizes.growth_tasks
                known, _ = self._fill(large, "first", sizes.replay_events, 0)
                self._group(["replay"], partial(replay.measure, large, sizes))
                _, few = self._fill(small, "past", sizes.small_events, waiting)
                more, many = self._fill(large, "past", sizes.large_events - sizes.replay_events, waiting)
                self._group(growth.NAMES, partial(growth.measure, small, large, (few, many), sizes))
                lives = sizes.memory_lives - len(known) - len(more)
                self._group(["memory"], partial(memory.measure, large, known, lives, sizes))
                self._group(evidence.NAMES, partial(evidence.measure, large, sizes))
                self._group(growth_pages.NAMES, partial(growth_pages.measure, small, large, sizes))
        except Exception:
            self._fail([name for name in rest if name not in {one.what for one in self.rows}])

    def _fill(self, harness: Harness, prefix: str, events: int, waiting: int) -> tuple[list[str], list[str]]:
        self._say(f"filling a log with {events} events")
        work = partial(_fill, harness.settings, prefix, events, waiting)
        filled: tuple[list[str], list[str]] = in_child("fill", work, FILL_SECONDS)
        return filled

    def _group(self, names: Sequence[str], measure: Callable[[], list[Row]]) -> None:
        if not any(self._is_wanted(name) for name in names):
            return
        self._say(", ".join(names))
        try:
            found = measure()
        except Exception:
            self._fail(names)
            return
        self.rows += found
        for one in found:
            self._say(f"  {one.what}: {one.figure} {one.unit}, baseline {one.baseline}, ratio {one.ratio}")

    def _fail(self, names: Sequence[str]) -> None:
        self.failed = True
        self._say(traceback.format_exc())
        self.rows += [row(name, None) for name in names]

    def _is_wanted(self, name: str) -> bool:
        return name.startswith(self._wanted)

    @contextmanager
    def _harness(self, mode: str) -> Iterator[Harness]:
        self._grounds += 1
        home = self._home / str(self._grounds)
        try:
            with Harness(home, mode) as harness:
                yield harness
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _say(self, words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - self._started:6.1f} s  {words}\n")
        sys.stderr.flush()


async def _fill(settings: Settings, prefix: str, events: int, waiting: int) -> tuple[list[str], list[str]]:
    """Whole lives, then `waiting` dispatched tasks: about `events` events; the ids of both."""
    async with open_core(settings, "bench-fill") as core:
        history = History(core.connection, prefix)
        await history.register()
        left = events - len(history.workspaces) - 2 * waiting
        lives = await history.lives(max(0, -(-left // EVENTS_PER_LIFE)))
        return lives, await history.open_tasks(waiting)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing"
    )
    parser.add_argument("--only", default="", metavar="PREFIX", help="only rows whose name starts so")
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(_ENVIRONMENT)]:
        del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = Path(tempfile.mkdtemp(prefix="towpath-bench-"))
    bench = Bench(home, QUICK if given.quick else Sizes(), given.only)
    try:
        bench.run()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    rows = sorted(bench.rows, key=lambda one: list(GOALS).index(one.what))
    sys.stdout.write((as_json if given.output == "json" else as_table)(rows) + "\n")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
