"""Actors: which names may stand in them, how people see them, and how events are filtered by them."""

from __future__ import annotations

import pytest

from domain.actors import caller_name_problem, is_by, is_caller_name, shown_actor

BOT = "operator:bot/telegram:4711:alice"


@pytest.mark.parametrize(
    ("actor", "shown"),
    [
        ("operator:alice", "alice (operator)"),
        (BOT, "alice (operator:bot/telegram:4711)"),
        ("operator:bot/telegram:4711", "4711 (operator:bot/telegram)"),
        ("operator:1a2b3c4d/telegram:4711:alice", "alice (operator:1a2b3c4d/telegram:4711)"),
        ("operator:bot/mail:1:1a2b3c4d", "1a2b3c4d (operator:bot/mail:1)"),
        ("api", "someone (open API)"),
        ("api/telegram:4711:alice", "alice (api/telegram:4711)"),
        *((same, same) for same in ("operator:1a2b3c4d", "job", "runner:host-1", "locks", "", "a:b")),
    ],
)
def test_people_see_the_last_part_of_a_caller_first(actor: str, shown: str) -> None:
    assert shown_actor(actor) == shown


@pytest.mark.parametrize(
    ("actor", "wanted", "fits"),
    [
        (BOT, BOT, True),
        (BOT, "operator", True),
        (BOT, "operator:bot", True),
        (BOT, "operator:bot/telegram:4711", True),
        (BOT, "alice", True),
        (BOT, "operator:bo", False),
        (BOT, "4711", False),
        ("operator:bot", "operator:bot/telegram", False),
        ("runner:alice", "alice", False),
        ("runner:host-1", "runner", True),
    ],
)
def test_events_are_filtered_by_leading_parts_or_the_name(actor: str, wanted: str, fits: bool) -> None:
    assert is_by(actor, wanted) is fits


@pytest.mark.parametrize(
    "part", ["", "a:b", "a/b", "a b", "a\n", "\x00", "\u00e4", "a" * 65, "a,b", "\u0430"]
)
def test_no_part_of_an_actor_can_pass_for_more(part: str) -> None:
    assert not is_caller_name(part)
    assert caller_name_problem(part)


def test_names_of_people_and_programs() -> None:
    assert all(map(is_caller_name, ("alice", "ci@build-7.example", "4711", "A_b", "a" * 64)))
    assert caller_name_problem("alice") is None
