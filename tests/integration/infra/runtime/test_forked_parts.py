"""Children of a supervisor: real processes, with signals and a lack of room at their worst moments."""

from __future__ import annotations

import subprocess
import sys

from tests.support.repository import REPO

STOPPED_AT_ONCE = """
import signal
from infra.runtime.forked_parts import ForkedParts

signal.signal(signal.SIGTERM, lambda number, frame: None)  # as every supervisor has one
for _ in range(3):
    parts = ForkedParts(print)
    parts.add("part", lambda: signal.pause() or 0)
    parts.stop("part")
print("stopped")
"""

ENDS_AND_IS_STOPPED = """
import sys, time
from infra.runtime.forked_parts import ForkedParts

said, sent = [], []
parts = ForkedParts(said.append)
parts.add("part", lambda: 3)
while len(said) < 2:  # then it has ended twice, and waits for its next start
    parts.look()
    time.sleep(0.001)
sys.addaudithook(lambda event, args: sent.append(args) if event == "os.kill" else None)
parts.stop("part")
print(said, sent)
"""

NO_ROOM = """
import os, resource, signal, time
from infra.runtime.forked_parts import CannotStart, ForkedParts

said = []
reading, writing = os.pipe()
def part():
    os.write(writing, b"%d\\n" % os.getpid())
    return signal.pause() or 0

os.setgroups([]); os.setgid(54321); os.setuid(54321)  # the limit of a user that has no other process
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
parts = ForkedParts(said.append)
parts.add("part", part, {writing})
try:
    ForkedParts(print).add("one more", part)
except CannotStart as error:
    print(error)
first = int(os.read(reading, 100))
resource.setrlimit(resource.RLIMIT_NPROC, (1, 2))
os.kill(first, signal.SIGKILL)
while len(said) < 2:
    parts.look()
    time.sleep(0.001)
resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))
os.set_blocking(reading, False)
again = None
while again is None:
    parts.look()
    time.sleep(0.001)
    try:
        again = int(os.read(reading, 100))
    except BlockingIOError:
        pass
print(said, again != first)
parts.stop("part")
"""


def run(program: str) -> str:
    """What the program prints on both streams."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_child_that_is_stopped_in_its_first_moment_ends_by_that_signal() -> None:
    assert run(STOPPED_AT_ONCE) == "stopped\n"


def test_a_child_that_has_ended_gets_no_signal_since_its_number_may_be_anothers() -> None:
    said = ["the part ended with 3; starting it again"] * 2
    assert run(ENDS_AND_IS_STOPPED) == f"{said} []\n"


def test_a_lack_of_room_for_processes_is_named_and_passes() -> None:
    words = run(NO_ROOM)
    assert "the one more cannot be started: Resource temporarily unavailable; allow this user" in words
    assert "the part ended with -9; starting it again" in words
    assert "the part cannot be started (Resource temporarily unavailable); starting it again" in words
    assert words.endswith("True\n")
