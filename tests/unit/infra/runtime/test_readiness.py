"""When a follower of the log counts as behind: far from its end, or standing still before it."""

from __future__ import annotations

import asyncio

from infra.runtime.readiness import LAG_EVENTS, OK, STILL_SECONDS, Behind, wait_until_ready


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_far_away_is_behind_at_once() -> None:
    behind = Behind(Clock())
    assert behind.said(0, LAG_EVENTS - 1) == OK
    assert behind.said(0, LAG_EVENTS) == f"{LAG_EVENTS} events behind"


def test_a_little_is_behind_only_when_nothing_moves() -> None:
    clock = Clock()
    behind = Behind(clock)
    assert behind.said(5, 8) == OK
    clock.at += STILL_SECONDS - 1
    assert behind.said(5, 9) == OK
    clock.at += 1
    assert behind.said(5, 9) == f"4 events behind, and has not moved for {STILL_SECONDS:.0f} s"
    assert behind.said(6, 9) == OK
    clock.at += STILL_SECONDS
    assert behind.said(9, 9) == OK
    assert behind.said(9, 10) == OK
    clock.at += STILL_SECONDS
    assert behind.said(9, 10) != OK


async def test_it_is_waited_for_until_every_part_is_ok_or_it_is_given_up() -> None:
    states = [{"log": "away", "view": OK}, {"log": OK, "view": "behind"}, {"log": OK, "view": OK}]
    asked = 0

    async def readiness() -> dict[str, str]:
        nonlocal asked
        asked += 1
        return states[min(asked, len(states)) - 1]

    await asyncio.wait_for(wait_until_ready(readiness, asyncio.Event()), 30)
    assert asked == 3

    async def never() -> dict[str, str]:
        return states[0]

    given_up = asyncio.Event()
    waiting = asyncio.create_task(wait_until_ready(never, given_up))
    await asyncio.sleep(0)
    given_up.set()
    await asyncio.wait_for(waiting, 30)
