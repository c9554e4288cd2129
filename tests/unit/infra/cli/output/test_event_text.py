"""Events and claims in words."""

from __future__ import annotations

import pytest

from domain.log.events import EVENTS
from infra.cli.output.event_text import detail, name_of, scope, short
from tests.unit.infra.cli.shapes import OTHER_ID, event


@pytest.mark.parametrize(("kind", "name"), EVENTS)
def test_every_event_has_words(kind: str, name: str) -> None:
    assert detail(event(name, kind))


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        (event("created"), "created", "echo 'two words'"),
        (event("dispatched"), "dispatched", "pool default, acme: src (shared)"),
        (
            event("dispatched", lock_wait_seconds=90.0),
            "dispatched",
            "pool default, acme: src (shared), waits at most 90s",
        ),
        (
            event("canceled", runner_id=None, reason="lock-wait-timeout", message="held too long"),
            "canceled",
            "lock-wait-timeout, held too long",
        ),
        (event("failed"), "failed", "exit code 2"),
        (event("failed", reason="timeout", exit_code=None), "failed", "timeout"),
        (event("failed", message="exited with code 2"), "failed", "exited with code 2"),
        (event("failed", message="no space left"), "failed", "exit code 2, no space left"),
        (event("submit-failed"), "submit-failed", "no-runner, nobody came"),
        (event("granted", "lock") | {"seq": 41}, "lock granted", "token 41, src"),
        (event("granted", "lock", paths=[]), "lock granted", "token 1, whole workspace"),
        (event("refused", "lock"), "lock refused", f"src, behind {short(OTHER_ID)}"),
        (event("released", "lock"), "lock released", "after failed at 17"),
        (event("something-new"), "something-new", ""),
    ],
)
def test_details(given: dict[str, object], name: str, words: str) -> None:
    assert (name_of(given), detail(given)) == (name, words)


def test_paths_that_hold_a_space_are_told_apart() -> None:
    assert scope(["src", "docs"]) == "src docs"
    assert scope(["src docs", "a\tb"]) == "'src docs' 'a\tb'"
    assert scope([]) == "whole workspace"
