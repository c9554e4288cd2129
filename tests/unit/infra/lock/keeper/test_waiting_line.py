"""The line about what is waited for."""

from __future__ import annotations

import os
import pty
from typing import Any

import pytest

from infra.lock.keeper.waiting_line import WaitingLine, held_by, sentence

AT = "2026-03-01T12:00:03Z"
CLAIM = {"lock_paths": ["src/api"], "workspace": "shop"}
BUILD = {"task_id": "t1", "title": "build", "runner_id": "host-7", "token": 37, "since": AT, "holds": True}
NEXT = {**BUILD, "task_id": "t2", "title": None, "runner_id": None, "token": None, "holds": False}


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize(
    ("claim", "blocked_by", "line"),
    [
        (
            CLAIM,
            [BUILD, NEXT],
            "waits for src/api in shop: build on host-7 (token 37) since 12:00:03, one before you",
        ),
        (CLAIM, [BUILD], "waits for src/api in shop: build on host-7 (token 37) since 12:00:03"),
        (
            {**CLAIM, "lock_paths": []},
            [NEXT, NEXT],
            "waits for all of shop, behind t2, which waits, one before you",
        ),
        (
            {**CLAIM, "lock_paths": ["a", "b"]},
            [{**BUILD, "runner_id": f"build-7-lock-{'0f' * 16}"}, BUILD, *[NEXT] * 12],
            "waits for a and b in shop: build on build-7 (token 37) since 12:00:03 and 1 more, 12 before you",
        ),
        (CLAIM, [], "waits for src/api in shop: about to be decided"),
    ],
)
def test_sentences(claim: dict[str, Any], blocked_by: list[dict[str, Any]], line: str) -> None:
    assert sentence(claim, {"blocked_by": blocked_by}) == line


def test_a_refusal_names_the_holder() -> None:
    assert held_by(CLAIM, BUILD, "build") == (
        "src/api in shop is locked: build on host-7 (token 37) since 12:00:03"
    )
    assert held_by(CLAIM, NEXT, "other") == "src/api in shop is locked: other waits for it"
    assert held_by(CLAIM, BUILD, "build", 2).endswith(" since 12:00:03 and 2 more")


def test_without_a_terminal_each_change_is_a_line() -> None:
    out, end = os.pipe()
    line = WaitingLine(end)
    for text in ("one", "one", "two\n\x1b[2J"):
        line.show(text)
    line.clear()
    os.close(end)
    assert os.read(out, 1000) == "one\ntwo\ufffd\ufffd[2J\n".encode()
    os.close(out)


def test_on_a_terminal_it_is_renewed_and_removed() -> None:
    screen, end = pty.openpty()
    line = WaitingLine(end)
    line.show("one")
    line.show("two")
    line.clear()
    renewed = b"\r\x1b[2Kone\r\x1b[2Ktwo\r\x1b[2K"
    read = b""
    while len(read) < len(renewed):  # a terminal hands over what was written in parts of any size
        read += os.read(screen, 1000)
    assert read == renewed
    os.close(screen)
    os.close(end)
