"""`towpath logs` and the output of `towpath run`: each byte once, whatever happens to the connection."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import unicodedata

import pytest

from infra.cli.client.following.output import BLOCK
from infra.cli.output.bytes import harmless
from infra.cli.output.stderr import plain
from tests.unit.infra.cli.conftest import TIMEOUT_SECONDS, Begin, Towpath, environment
from tests.unit.infra.cli.fake_api import FakeApi
from tests.unit.infra.cli.shapes import TASK_ID, event, task_read

AWAY = {"code": "runner-away", "type": "urn:towpath:problem:runner-away", "detail": "runner r1 is away"}
GONE = {"code": "output-gone", "type": "urn:towpath:problem:output-gone", "detail": "it was deleted"}
OVERLOADED = {"code": "overloaded", "type": "urn:towpath:problem:overloaded", "detail": "try again"}


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    """An API that has the task whose output it has."""
    api.task = task_read()
    return api


def raw(api: FakeApi, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from infra.cli.app import main; main()", *arguments],
        env=environment(api),
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def test_all_of_it_in_pieces(api: FakeApi, towpath: Towpath) -> None:
    api.output, api.most = "".join(f"line {n} ä\n" for n in range(1000)).encode(), 777
    done = towpath("logs", TASK_ID)
    assert (done.returncode, done.stdout) == (0, api.output.decode())


def test_what_controls_a_terminal_is_harmless(api: FakeApi, towpath: Towpath) -> None:
    api.output, api.most = "\x1b[2J\x1b]0;title\x07 a\tb\r\n\u202e\x9bxä\n".encode() + b"\xff.", 1
    assert towpath("logs", TASK_ID).stdout == " [2J ]0;title  a\tb \n  xä\n\ufffd."


def test_every_character_is_treated_as_elsewhere() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    hidden = {here for here, shown in zip(everything, harmless(everything), strict=True) if here != shown}
    steering = {one for one in everything if plain(one, keep="\n\t") != one}
    assert steering == hidden
    assert {unicodedata.category(one) for one in hidden} >= {"Cc", "Cf", "Zl", "Zp", "Cs"}


def test_raw_bytes_are_as_they_are(api: FakeApi) -> None:
    api.output, api.most = bytes(range(256)) * 40, 777
    done = raw(api, "logs", "--raw", TASK_ID)
    assert (done.returncode, done.stdout) == (0, api.output)


@pytest.mark.parametrize("lines", [0, 1, 2, 30, 5000, 100_000])
@pytest.mark.parametrize("end", ["", "\n"])
def test_the_last_lines(api: FakeApi, towpath: Towpath, lines: int, end: str) -> None:
    whole = [f"line {number:06}" for number in range(20_000)]
    api.output = ("\n".join(whole) + end).encode()
    assert len(api.output) > 3 * BLOCK
    shown = towpath("logs", "-n", str(lines), TASK_ID).stdout
    assert shown == ("\n".join(whole[-lines:]) + end if lines else "")


def test_following_survives_outages_without_a_byte_lost_or_repeated(api: FakeApi, towpath: Towpath) -> None:
    api.output, api.most = "".join(f"line {number}\n" for number in range(200)).encode(), 500
    broken, refused = (200, {}), (503, OVERLOADED)
    api.troubles = [broken, refused, (503, AWAY | {"ended": False}), broken]
    done = towpath("logs", "-f", TASK_ID)
    assert (done.returncode, done.stdout) == (0, api.output.decode())
    assert done.stderr.count("trying again") == 1


@pytest.mark.parametrize("most", [1 << 20, 500_000])
def test_a_large_output_is_asked_for_ahead_and_comes_in_order(api: FakeApi, most: int) -> None:
    api.output, api.most = b"".join(b"%07d\n" % number for number in range(700_000)), most
    api.troubles = [(503, OVERLOADED)]
    done = raw(api, "logs", "-f", "--raw", TASK_ID)
    assert done.returncode == 0
    assert done.stdout == api.output, len(done.stdout)


def test_following_ends_once_the_output_is_complete_and_names_its_attempt(api: FakeApi, begin: Begin) -> None:
    api.output, api.complete = b"first\n", False
    process = begin("logs", "-f", TASK_ID)
    assert process.stdout is not None
    assert process.stdout.readline() == "first\n"
    api.output += b"second\n"
    assert process.stdout.readline() == "second\n"
    api.complete = True
    assert process.wait(TIMEOUT_SECONDS) == 0
    last = dict(api.asked("GET", f"/tasks/{TASK_ID}/output")[-1].query)
    assert (last["attempt"], last["offset"]) == ("1", "13")


def test_ctrl_c_ends_it(api: FakeApi, begin: Begin) -> None:
    api.output, api.complete = b"first\n", False
    process = begin("logs", "--follow", TASK_ID)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT_SECONDS) == 130


@pytest.mark.parametrize("follow", [[], ["-f"]])
@pytest.mark.parametrize(("status", "problem", "code"), [(503, AWAY, 1), (404, GONE, 5)])
def test_without_its_runner_the_end_is_what_is_known(
    api: FakeApi, towpath: Towpath, follow: list[str], status: int, problem: dict, code: int
) -> None:
    api.output = b""
    api.troubles = [(status, problem | {"ended": True, "output_tail": "the end\n"})]
    done = towpath("logs", *follow, TASK_ID)
    assert (done.returncode, done.stdout) == (code, "the end\n")
    assert problem["detail"] in done.stderr


def test_a_reader_that_leaves_early_is_no_error(api: FakeApi, begin: Begin) -> None:
    api.output, api.complete = b"line\n" * 100_000, False
    process = begin("logs", "-f", TASK_ID)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(TIMEOUT_SECONDS) == 0


def test_run_streams_what_the_job_writes_as_it_is(api: FakeApi) -> None:
    api.output, api.most = b"out \x1b[31m\xff\n" * 300, 100
    api.script = [event("running"), event("failed")]
    done = raw(api, "run", "false")
    assert (done.returncode, done.stdout) == (3, api.output)


@pytest.mark.parametrize("problem", [AWAY, GONE])
def test_run_prints_the_end_where_its_runner_cannot_be_asked(
    api: FakeApi, towpath: Towpath, problem: dict
) -> None:
    api.output = b""
    api.troubles = [(503, problem | {"ended": True})] * 1000
    api.script = [event("running"), event("succeeded")]
    done = towpath("run", "echo", "hi")
    assert (done.returncode, done.stdout) == (0, "hi\n")


def test_nothing_yet(api: FakeApi, towpath: Towpath) -> None:
    api.output, api.complete = b"", False
    done = towpath("logs", TASK_ID)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.search("nothing yet", done.stderr)
