"""What other tests stand on, tested itself: a fresh database per test, and waiting that ends."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.nats import api
from tests.support.waiting import eventually


@pytest.mark.parametrize("round_", [1, 2])
async def test_every_test_gets_an_empty_postgres_database(postgres_url: str, round_: int):
    engine = create_async_engine(postgres_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE things (id int)"))
            assert (await connection.execute(text("SELECT count(*) FROM things"))).scalar() == 0
    finally:
        await engine.dispose()


async def test_waiting_answers_with_what_it_waited_for():
    answers = iter([None, 0, "", "ready"])
    assert await eventually(lambda: next(answers)) == "ready"


async def test_waiting_ends_and_says_why():
    def never() -> bool:
        raise AssertionError("the reason")

    with pytest.raises(AssertionError, match="the reason"):
        await eventually(never, timeout=0.05)
    with pytest.raises(AssertionError, match="still 0"):
        await eventually(lambda: 0, timeout=0.05)


async def test_an_error_of_jetstream_is_waited_over(js_connection: Client):
    """Right after a start, JetStream refuses what it knows a moment later."""
    refused: list[AssertionError] = []

    async def pending() -> bool:
        try:
            return (await api(js_connection, "CONSUMER.INFO.TOWPATH.late"))["num_pending"] == 0
        except AssertionError as error:
            refused.append(error)
            await js_connection.jetstream().add_consumer("TOWPATH", durable_name="late")
            raise

    assert await eventually(pending)
    assert "consumer not found" in str(refused[0])
