"""`python -m tests.chaos.check HISTORY LOG`: judge a history and a log, each from wherever it came.

LOG is a file of raw events, or the URL of a NATS server that holds the log. Exit code 0: nothing is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tests.chaos.check import check
from tests.chaos.check.verdict import ITEMS, Verdict
from tests.chaos.history import read_history
from tests.chaos.raw_log import Stored, fetch_log, read_log

SHOWN = 20


def main() -> int:
    """Parse, check, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.check", description=__doc__)
    parser.add_argument("history", type=Path, help="JSONL that a run has written")
    parser.add_argument("log", help="a file of raw events, or nats://user:password@host:port[,…]")
    given = parser.parse_args()
    verdict = check(read_history(given.history), _log(given.log))
    sys.stdout.write("\n".join(describe(verdict)) + "\n")
    return 1 if verdict.violations else 0


def describe(verdict: Verdict) -> list[str]:
    """A verdict in lines for people."""
    lines = [f"{verdict.events} events"]
    for item, words in ITEMS.items():
        broken = [one for one in verdict.violations if one.item == item]
        lines.append(f"{item}. {words}: {f'{len(broken)} VIOLATIONS' if broken else 'kept'}")
        lines += [f"     {one.rule}: {one.what}" for one in broken[:SHOWN]]
        if len(broken) > SHOWN:
            lines.append(f"     and {len(broken) - SHOWN} more")
    return lines + [f"not checked: {why}" for why in verdict.unchecked]


def _log(where: str) -> list[Stored]:
    if "://" in where:
        return asyncio.run(fetch_log(where.split(",")))
    return list(read_log(Path(where)))


if __name__ == "__main__":
    sys.exit(main())
