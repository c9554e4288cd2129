"""Lifecycle: order, bounds, and what a broken service does to the others."""

from __future__ import annotations

import asyncio

import pytest

from domain.lifecycle.service import Background, Services


class Noted:
    """Writes down when it is started and stopped."""

    def __init__(self, name: str, notes: list[str], trouble: Exception | None = None) -> None:
        self.name, self.notes, self.trouble = name, notes, trouble

    async def start(self) -> None:
        self.notes.append(f"start {self.name}")

    async def stop(self) -> None:
        self.notes.append(f"stop {self.name}")
        if self.trouble is not None:
            raise self.trouble


class Hanging(Noted):
    async def stop(self) -> None:
        await asyncio.Event().wait()


async def forever() -> None:
    await asyncio.Event().wait()


async def test_services_stop_in_the_reverse_order() -> None:
    notes: list[str] = []
    stop = asyncio.Event()
    stop.set()
    await Services(Noted("a", notes), Noted("b", notes)).run_until(stop)
    assert notes == ["start a", "start b", "stop b", "stop a"]


async def test_what_does_not_stop_well_hinders_no_other_and_is_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes: list[str] = []
    services = Services(
        Noted("a", notes), Hanging("b", notes), Noted("c", notes, OSError("disk")), stop_seconds=0.01
    )
    with pytest.raises(OSError, match="disk"):
        await services.stop()
    assert notes == ["stop c", "stop a"]
    assert [vars(one)["service"] for one in caplog.records] == ["Noted", "Hanging"]


async def test_a_service_that_hangs_in_its_end_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await Services(Hanging("a", []), stop_seconds=0.01).stop()


async def test_a_background_that_breaks_ends_all_and_is_raised() -> None:
    notes: list[str] = []

    async def broken() -> None:
        raise ValueError("a hole")

    with pytest.raises(ValueError, match="a hole"):
        await Services(Noted("a", notes), Background(forever), Background(broken)).run_until(asyncio.Event())
    assert notes == ["start a", "stop a"]


async def test_a_start_that_fails_stops_what_was_started() -> None:
    notes: list[str] = []

    class Unstartable(Noted):
        async def start(self) -> None:
            raise OSError("port")

    with pytest.raises(OSError, match="port"):
        await Services(Noted("a", notes), Unstartable("b", notes)).run_until(asyncio.Event())
    assert notes == ["start a", "stop b", "stop a"]


async def test_a_background_saves_after_its_last_step_and_once() -> None:
    notes: list[str] = []

    async def work() -> None:
        try:
            await forever()
        finally:
            notes.append("ended")

    async def save() -> None:
        notes.append("saved")

    background = Background(work, save=save)
    await background.stop()
    await background.start()
    await asyncio.sleep(0)
    await background.stop()
    await background.stop()
    assert notes == ["ended", "saved"]


async def test_a_background_that_drains_ends_by_itself_when_asked() -> None:
    asked, notes = asyncio.Event(), list[str]()

    async def draining() -> None:
        await asked.wait()
        notes.append("drained")

    background = Background(draining, drain=(asked.set, 10.0))
    await background.start()
    await background.stop()
    assert notes == ["drained"]


async def test_a_background_that_does_not_drain_in_time_is_ended_and_said() -> None:
    saved = asyncio.Event()

    async def save() -> None:
        saved.set()

    background = Background(forever, drain=(lambda: None, 0.01), save=save)
    await background.start()
    with pytest.raises(TimeoutError):
        await background.stop()
    assert saved.is_set()
