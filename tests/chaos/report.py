"""What a run prints at its end: a Markdown table per question, so that it can go into the documentation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.chaos.check.__main__ import describe
from tests.chaos.check.verdict import ITEMS
from tests.chaos.play import Played

NAMES = {3: "three nodes", 1: "embedded single node"}


def report(played: list[Played]) -> list[str]:
    """Lines: totals, faults by kind, operations by outcome, violations."""
    parts = [NAMES[one.nodes] for one in played]
    lines = [*_head(["", *parts]), *_totals(played), "", *_head(["faults", *parts])]
    lines += _rows([one.faults for one in played])
    lines += ["", *_head(["exit codes of `towpath lock`", *parts])]
    lines += _rows([one.lock_commands for one in played])
    lines += ["", *_head(["operations: ok / refused / unknown", *parts])]
    kinds = sorted({do for one in played for do, _ in one.operations})
    for do in kinds:
        cells = [
            " / ".join(str(one.operations[do, outcome]) for outcome in ("ok", "fail", "unknown"))
            for one in played
        ]
        lines.append(_row([do, *cells]))
    lines += ["", *_head(["violations", *parts])]
    for item, words in ITEMS.items():
        broken = [sum(v.item == item for v in one.verdict.violations) for one in played]
        lines.append(_row([f"{item}. {words}", *map(str, broken)]))
    return lines


def details(one: Played) -> list[str]:
    """For whoever looks into a run: what the checker says, what ended by itself, what did not settle."""
    lines = [f"-- {NAMES[one.nodes]}: {one.directory}"]
    lines += describe(one.verdict)
    lines += [f"ended by itself: {name} ({times} times)" for name, times in sorted(one.ends.items())]
    lines += [f"killed, for it did not end when asked: {name} ({n} times)" for name, n in one.stuck.items()]
    lines += [f"server error: {name} ({times} times)" for name, times in one.server_errors.most_common()]
    lines += [f"not settled: {what}" for what in one.open_]
    return lines + [f"the run itself broke: {what}" for what in one.errors]


def _totals(played: list[Played]) -> Iterable[str]:
    def unknown(one: Played) -> int:
        return sum(times for (_, outcome), times in one.operations.items() if outcome == "unknown")

    yield _row(["seconds", *(f"{one.seconds:.0f}" for one in played)])
    yield _row(["tasks created", *(str(one.tasks) for one in played)])
    yield _row(["of them run as processes", *(str(one.jobs) for one in played)])
    yield _row(["commands run by `towpath lock`", *(str(one.lock_commands.total()) for one in played)])
    yield _row(["events in the log", *(str(one.verdict.events) for one in played)])
    yield _row(["void ones among them", *(str(one.verdict.void) for one in played)])
    yield _row(["faults", *(str(one.faults.total()) for one in played)])
    yield _row(["operations", *(str(one.operations.total()) for one in played)])
    yield _row(["of them with unknown outcome", *(str(unknown(one)) for one in played)])
    yield _row(["HTTP answers dropped or duplicated", *(str(one.mischief.total()) for one in played)])
    yield _row(["notices that the receiver took", *(str(one.notices["taken"]) for one in played)])
    yield _row(["… refused", *(str(one.notices["refused"]) for one in played)])
    yield _row(["… took without an answer", *(str(one.notices["lost"]) for one in played)])
    yield _row(["**violations**", *(f"**{len(one.verdict.violations)}**" for one in played)])


def _rows(counters: list[Counter[str]]) -> Iterable[str]:
    for name in sorted(set().union(*counters)):
        yield _row([name, *(str(one[name]) for one in counters)])


def _head(cells: list[str]) -> list[str]:
    return [_row(cells), "|---|" + "---:|" * (len(cells) - 1)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
