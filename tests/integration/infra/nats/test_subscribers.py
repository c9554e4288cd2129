"""Subscribers outlive what FastStream alone does not: refused credentials, and a connection that is over."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import nats
import pytest
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from structlog.testing import capture_logs

from infra.nats.binary import find_nats_server
from infra.nats.subscribers import AWAY, BACK, Subscribers
from tests.support.ports import free_port
from tests.support.waiting import eventually

RIGHT, WRONG = "right", "wrong"


class Server:
    """A server whose only user's password changes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"nats://user:{RIGHT}@127.0.0.1:{self._port}"

    def password(self, password: str) -> None:
        self._file.write_text(
            f'listen: "127.0.0.1:{self._port}"\njetstream {{ store_dir: "{self._directory}" }}\n'
            f'authorization {{ users: [ {{ user: "user", password: "{password}" }} ] }}\n'
        )
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    @property
    def _file(self) -> Path:
        return self._directory / "nats.conf"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(find_nats_server()), "-c", str(self._file)], stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(10)


class Collecting:
    """Consumers that remember what came."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    def subscribe(self, broker: NatsBroker) -> None:
        async def take(message: NatsMessage) -> None:
            self.came.append(message.body)
            await message.ack()

        async def undecoded(message: NatsMessage) -> NatsMessage:
            return message

        broker.subscriber(
            "work.*",
            stream=JStream("WORK", declare=False),
            durable="workers",
            pull_sub=PullSub(batch_size=10, timeout=0.2),
            decoder=undecoded,
            ack_policy=AckPolicy.MANUAL,
        )(take)

    async def stop(self) -> None:
        """Nothing is under way."""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server(tmp_path)
    made.password(RIGHT)
    made.start()
    try:
        connection = await nats.connect(made.url, error_cb=_quiet)
        await connection.jetstream().add_stream(name="WORK", subjects=["work.*"])
        await connection.close()
        yield made
    finally:
        made.stop()


async def _quiet(_: Exception) -> None:
    """It is not there yet."""


async def publish(server: Server, body: bytes) -> None:
    connection = await nats.connect(server.url, error_cb=_quiet)
    await connection.jetstream().publish("work.a", body)
    await connection.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nats-py forgets a writer
@pytest.mark.parametrize("restarted", [False, True], ids=["while connected", "while it was away"])
async def test_they_go_on_once_their_password_is_right_again(server: Server, restarted: bool) -> None:
    """The refusal ends nats-py's client: FastStream alone would stall the event loop, or search no more."""
    consumers = Collecting()
    make = partial(NatsBroker, server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05)
    async with Subscribers(make, consumers) as subscribers:
        running = asyncio.create_task(subscribers.run())
        await publish(server, b"before")
        await eventually(lambda: consumers.came == [b"before"])
        with capture_logs() as logs:
            if restarted:
                server.stop()
                await eventually(lambda: not subscribers.connected)
            server.password(WRONG)
            if restarted:
                server.start()
            await eventually(lambda: not subscribers.connected)
            await asyncio.wait({running}, timeout=1)
            assert not running.done() or await running
            server.password(RIGHT)
            await eventually(lambda: subscribers.connected, timeout=30)
            await publish(server, b"after")
            await eventually(lambda: consumers.came == [b"before", b"after"])
        said = [one["event"] for one in logs if one["event"] in (AWAY, BACK)]
        assert said == [AWAY, BACK]
        running.cancel()
    gc.collect()  # here, where it is known what nats-py forgets
