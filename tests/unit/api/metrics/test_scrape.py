"""The figures of channels, which the notifier's state tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

from domain.errors import Busy
from domain.ports.notices import ChannelFigures
from tests.unit.api.api_harness import Moment, api_harness


async def test_figures_by_channel() -> None:
    since = Moment()() - timedelta(minutes=1)

    async def figures(_now: datetime) -> list[ChannelFigures]:
        return [ChannelFigures("ops", 7, 3, 2, 1, since), ChannelFigures("log", 1, 0, 0, 0, None)]

    async with api_harness(notices=SimpleNamespace(figures=figures)) as harness:
        text = (await harness.http.get("/metrics")).text
    for state, count in (("sent", 7), ("waiting", 2), ("dead", 1)):
        assert f'towpath_notices{{channel="ops",state="{state}"}} {count}.0' in text
    assert 'towpath_notices_failed_tries{channel="ops"} 3.0' in text
    assert 'towpath_notices_lag_seconds{channel="ops"} ' in text
    assert 'towpath_notices_lag_seconds{channel="ops"} 0.0' not in text
    assert 'towpath_notices_lag_seconds{channel="log"} 0.0' in text


async def test_unknown_figures_leave_the_others() -> None:
    async def figures(_now: datetime) -> list[ChannelFigures]:
        raise Busy("database-unreachable", "it is away")

    async with api_harness(notices=SimpleNamespace(figures=figures)) as harness:
        text = (await harness.http.get("/metrics")).text
    assert "towpath_dead_letters 0.0" in text
    assert 'channel="ops"' not in text
