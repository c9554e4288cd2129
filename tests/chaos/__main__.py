"""`python -m tests.chaos [--seed N] [--minutes M] [--nodes 1|3]`: break everything, then judge.

Without --nodes both deployments are played, three nodes for the larger part of the time. Exit code 0: nothing
was violated. A run that fails keeps its directory and says where, and with which seed to repeat its faults.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.faults.nemesis import FAULTS
from tests.chaos.faults.planted import BUGS
from tests.chaos.machines import cell

SHARES = {3: 0.6, 1: 0.4}
AROUND_SECONDS = 50.0
PER_SECOND = 40.0
SECONDS_BETWEEN = {3: 1.6, 1: 3.0}
"""Faults in a row; a single nats-server, on which everything waits, needs time to be up at all."""


def main() -> int:
    """Enter a cell, or play inside it."""
    given = _parser().parse_args()
    if not cell.inside():
        try:
            cell.enter(sys.argv[1:])
        except cell.NoCell as error:
            sys.stderr.write(f"chaos: {error}\n")
            return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 32)
    directory = given.directory or Path(tempfile.mkdtemp(prefix="towpath-chaos-"))
    try:
        good = _play_all(given, seed, directory)
    except BaseException as error:
        sys.stderr.write(f"chaos: ended by {error!r}; seed {seed}; everything is kept in {directory}\n")
        raise
    if good and not given.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if good else 1


def _play_all(given: argparse.Namespace, seed: int, directory: Path) -> bool:
    from tests.chaos.machines.disks import why_no_power_cuts
    from tests.chaos.play import Order, play
    from tests.chaos.report import details, report
    from tests.support.servers.postgres import running_postgres

    chosen = [given.nodes] if given.nodes else [3, 1]
    command = f"python -m tests.chaos --seed {seed} --minutes {given.minutes:g}"
    command += f" --nodes {given.nodes}" if given.nodes else ""
    _say(f"{command}   ({time.strftime('%Y-%m-%d')}; everything is in {directory})")
    missing = why_no_power_cuts()
    if missing:
        _say(f"no power is cut: {missing}")
    played = []
    with running_postgres() as postgres:
        for nodes in chosen:
            share = 1.0 if given.nodes else SHARES[nodes]
            order = Order(
                nodes=nodes,
                seed=seed,
                seconds=max(20.0, given.minutes * 60 * share - AROUND_SECONDS),
                per_second=given.rate,
                between=given.between or SECONDS_BETWEEN[nodes],
                postgres=postgres.fresh_database(),
                plant=given.plant,
                power_cuts=missing is None,
                only=tuple(given.only or ()),
            )
            with asyncio.Runner() as runner:
                played.append(runner.run(play(order, directory / f"nodes-{nodes}")))
            _say("\n".join(details(played[-1])))
    good = all(one.good for one in played)
    _say("\n" + "\n".join(report(played)))
    if not good:
        _say(f"\nFAILED with seed {seed}. The history, the log and all output are kept in {directory}")
    return good


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="of faults and clients; default: a new one, which is printed"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything; default 10")
    parser.add_argument("--nodes", type=int, choices=(1, 3), help="only this deployment")
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="new tasks a second")
    parser.add_argument("--between", type=float, help="seconds between faults; default 1.6, one node 3")
    parser.add_argument(
        "--only", action="append", choices=sorted(FAULTS), help="only such faults; repeatable"
    )
    parser.add_argument("--directory", type=Path, help="where to keep everything; default: a temporary one")
    parser.add_argument("--keep", action="store_true", help="keep it also where nothing was violated")
    parser.add_argument(
        "--plant", choices=sorted(BUGS), help="build a known bug into the processes: the run must then fail"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
