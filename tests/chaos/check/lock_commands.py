"""What `towpath lock` told its caller, against marks and log; and that no process stayed behind.

A code that says that the job did not run must be true of its marks, and so must one that is the job's own.
Whether two of them overlapped is asked with all other jobs (`overlaps.py`): their marks are the same.
"""

from __future__ import annotations

from collections import defaultdict

from tests.chaos.check.evidence import Evidence
from tests.chaos.check.lives import Lives
from tests.chaos.check.verdict import Verdict

NOT_RUN = (1, 2, 4, 5, 6, 8)
OF_THE_JOB = {0: "succeeded", 3: "failed"}


def check_lock_commands(evidence: Evidence, lives: Lives, verdict: Verdict) -> None:
    """Hold every command against what its job wrote and what the log has of its task."""
    tasks: defaultdict[str, list[str]] = defaultdict(list)
    for life in lives.tasks.values():
        tasks[life.spec["labels"].get("lock", "")].append(life.task)
    marks: defaultdict[str, set[str]] = defaultdict(set)
    for mark in evidence.marks:
        marks[mark["task"]].add(mark["mark"])
    for line in evidence.lock_commands:
        number, code, own = line["number"], line["code"], tasks[line["number"]]
        wrote: set[str] = set().union(*(marks[task] for task in own))
        if len(own) > 1:
            verdict.add(1, "lock-twice", f"lock command {number} made the tasks {own}")
        if code is None:
            verdict.add(5, "lock-stuck", f"lock command {number} did not end: {line['stuck']}")
        elif code in NOT_RUN and wrote:
            verdict.add(4, "lock-code", f"lock command {number} ended with {code}, but its job ran ({own})")
        elif code in OF_THE_JOB:
            _check_run(number, code, own, wrote, lives, verdict)
    for line in evidence.left_behind:
        verdict.add(5, "left-behind", f"{line['command']} ran after all had ended")


def _check_run(
    number: str, code: int, own: list[str], wrote: set[str], lives: Lives, verdict: Verdict
) -> None:
    if not {"begin", "end"} <= wrote:
        verdict.add(4, "lock-code", f"lock command {number} ended with {code}; its job wrote {sorted(wrote)}")
    for task in own:
        end = lives.ends.get((task, 1))
        told = (OF_THE_JOB[code], code)
        if end is not None and end.data.get("exit_code") is not None:
            stands = (end.name, end.data["exit_code"])
            if stands != told:
                verdict.add(
                    1, "lock-code", f"lock command {number} told {told}; at {end.seq} {stands} stands"
                )
