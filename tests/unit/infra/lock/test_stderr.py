"""Messages on standard error: they hold up nothing, and a terminal obeys nothing in them."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from infra.lock.stderr import printable, tell, write


@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\u202e", "\u2066", "\n", "\r", "\x07", "\ud800"])
def test_what_a_terminal_would_obey_is_replaced(sign: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert printable(f"a{sign}b") == "a\ufffdb"
    tell(f"a{sign}b is locked: ü\n  help: wait")
    assert capfd.readouterr().err == "towpath lock: a\ufffdb is locked: ü\n  help: wait\n"


def test_a_full_pipe_without_a_reader_holds_up_nothing() -> None:
    out, end = os.pipe()
    os.set_blocking(end, False)
    while True:
        try:
            os.write(end, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(end, True)
    write("lost", end, 0.01)  # without a limit this would not return
    assert os.get_blocking(end), "the flags belong to other processes, too"
    os.close(out)
    write("lost", end, 0.01)
    os.close(end)


def test_what_does_not_fit_is_left_to_the_reader() -> None:
    out, end = os.pipe()
    text = "x" * (1 << 20)
    write(text, end, 0.01)
    found = b""
    while len(found) < len(text):
        found += os.read(out, 1 << 20)
    assert found == text.encode()
    os.close(out)
    os.close(end)


def test_a_stopped_terminal_holds_up_nothing() -> None:
    screen, end = pty.openpty()
    termios.tcflow(end, termios.TCOOFF)
    write("lost", end, 0.01)
    termios.tcflow(end, termios.TCOON)
    write("shown", end)
    assert os.read(screen, 100) == b"shown"
    os.close(screen)
    os.close(end)
