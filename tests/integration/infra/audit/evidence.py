"""A genuine history with its checkpoints, and the means of whoever owns a copy of the store.

The copy is written to plain streams of the same names on another server: nothing that Towpath's own streams
refuse can stop a forger there.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from adapters.crypto.checkpoint_keys import CheckpointKey, PublicKeys
from adapters.event_store.checkpoints import JetStreamLogCheckpoints
from adapters.event_store.codec import chain_link
from adapters.event_store.reading.raw_reader import RawLog
from adapters.nats.client import new_client
from domain.evidence.checkpoint import LogCheckpoint, export_head, make_checkpoint
from domain.evidence.merkle import leaf_hash
from domain.locks.claims import FIRST_CHAIN
from infra.audit.findings import VerifyReport
from infra.audit.verification import VerifyOptions, verify
from infra.config.settings import Settings
from infra.nats.embedded_server import EmbeddedNats
from projections.checkpoint_signer import CheckpointSigner
from tests.integration.projections.harness import ProjectionHarness
from tests.support.messages import now
from tests.support.nats import CLIENT, api, connect

KEY = CheckpointKey("11" * 32)
OTHER_KEY = CheckpointKey("22" * 32)
SEALED_EVERY = 7


@dataclass(frozen=True)
class Message:
    """A stored message, as a forger edits it."""

    subject: str
    headers: dict[str, str]
    data: bytes

    @property
    def lines(self) -> list[bytes]:
        return sorted(f"{name}: {value}".encode() for name, value in self.headers.items())

    def with_data(self, **changes: Any) -> Message:
        return replace(self, data=json.dumps({**json.loads(self.data), **changes}).encode())

    def with_header(self, name: str, value: str) -> Message:
        return replace(self, headers={**self.headers, name: value})


class Evidence:
    """`log` and `checkpoints` are the genuine ones; `exported` is a file made from them."""

    def __init__(self, copy: EmbeddedNats, home: Path) -> None:
        self._copy = copy
        self.home = home
        self.log: list[Message] = []
        self.checkpoints: list[LogCheckpoint] = []
        self.exported = home / "exported.jsonl"

    @property
    def last(self) -> int:
        return len(self.log)

    def seq_of(self, event: str, nth: int = 1) -> int:
        """The sequence of the nth event of this name."""
        found = [at for at, one in enumerate(self.log, 1) if one.subject.endswith(f".{event}")]
        return found[nth - 1]

    async def write(
        self,
        log: list[Message],
        checkpoints: list[LogCheckpoint] | None = None,
        then: Callable[[Client], Any] | None = None,
    ) -> None:
        """Write this version to the copy; `then` gets the forger's connection."""
        nc = await connect(self._copy.control_url)
        try:
            for name, subjects in (
                ("TOWPATH", ["towpath.task.*.*", "towpath.lock.*.*", "towpath.workspace.*.*"]),
                ("TOWPATH_CHECKPOINT", ["towpath.checkpoint.*"]),
            ):
                config = {"name": name, "subjects": subjects, "storage": "file", "allow_direct": True}
                made = await api(nc, f"STREAM.CREATE.{name}", config)
                assert "error" not in made, made
            js = nc.jetstream()
            for message in log:
                headers = {k: v for k, v in message.headers.items() if not k.startswith("Nats-Expected")}
                await js.publish(message.subject, message.data, headers=headers)
            for one in self.checkpoints if checkpoints is None else checkpoints:
                await js.publish(f"towpath.checkpoint.{one.number}", one.encoded())
            if then is not None:
                await then(nc)
        finally:
            await nc.close()

    async def verified(
        self, *, exported: bool = False, keys: Sequence[str] = (KEY.public.hex(),)
    ) -> VerifyReport:
        """What verifying the copy finds, with a guest's rights."""
        settings = Settings(data_dir=self.home / "nothing", nats_url=self._copy.url)
        wanted = VerifyOptions(self.exported if exported else None, keys)
        return await verify(settings, wanted, lambda done, total: None)

    async def first_bad(self, *, exported: bool = False) -> tuple[int, str]:
        """The first bad sequence, and the kind of what was found there."""
        first = (await self.verified(exported=exported)).first
        assert first is not None, "nothing was found"
        return first.seq, first.kind


def rechained(log: list[Message], start: int) -> list[Message]:
    """The log with every chain from index `start` on computed anew, as a forger who knows how would."""
    ends: dict[str, str] = {}
    made = []
    for at, message in enumerate(log):
        line = message.subject.rpartition(".")[0]
        if at >= start:
            chain = chain_link(ends.get(line, FIRST_CHAIN), message.subject, message.headers, message.data)
            message = message.with_header("ce-chain", chain)
        ends[line] = message.headers["ce-chain"]
        made.append(message)
    return made


def resealed(log: list[Message], genuine: list[LogCheckpoint], key: CheckpointKey) -> list[LogCheckpoint]:
    """Checkpoints over a forged log, signed by a forger with the ranges of the genuine ones."""
    made: list[LogCheckpoint] = []
    for one in genuine:
        leaves = [
            leaf_hash(seq, log[seq - 1].subject.encode(), log[seq - 1].lines, log[seq - 1].data)
            for seq in range(one.first_seq, one.last_seq + 1)
        ]
        made.append(make_checkpoint(made[-1] if made else None, leaves, one.time, key))
    return made


@asynccontextmanager
async def gather_evidence(
    server: EmbeddedNats, connection: Client, copy: EmbeddedNats, home: Path
) -> AsyncIterator[Evidence]:
    """Let tasks contend for a workspace, seal what happened, and read it as it is stored."""
    found = Evidence(copy, home)
    async with ProjectionHarness(connection) as harness:
        harness.run(harness.projector().run())
        await harness.register()
        first = await harness.dispatch("src")
        second = await harness.dispatch("src/api", "docs")
        await harness.until(("granted", first))
        for task, status in ((first, "running"), (first, "failed")):
            await harness.report(task, status)
        await harness.until(("granted", first), ("released", first), ("granted", second))
        for status in ("queued", "running", "succeeded"):
            await harness.report(second, status)
        done = [("granted", first), ("released", first), ("granted", second), ("released", second)]
        await harness.until(*done)
        await harness.commands.dispatch(first, "operator:ann")
        await harness.until(*done, ("granted", first))
        await harness.report(first, "running", 2)
        await harness.commands.cancel(first, None, "operator:ann")
        await harness.report(first, "canceled", 2)
        await harness.until(*done, ("granted", first), ("released", first))
    await _seal(server, found)
    yield found


async def _seal(server: EmbeddedNats, found: Evidence) -> None:
    client = new_client(CLIENT)
    await client.connect(server.control_url)
    try:
        log, checkpoints = RawLog(client), JetStreamLogCheckpoints(client)
        # without their originals' compare-and-set headers, which the copy's server would act on
        async for batch in log.stretch(1, await log.last_seq()):
            for one in batch:
                lines = [line.decode().split(": ", 1) for line in one.header_lines()]
                found.log.append(Message(one.subject.decode(), dict(lines), one.data))
        keys = PublicKeys([KEY.public])
        leaves = [
            leaf_hash(seq, one.subject.encode(), _without_expectation(one).lines, one.data)
            for seq, one in enumerate(found.log, 1)
        ]
        found.log = [_without_expectation(one) for one in found.log]
        signer = CheckpointSigner(log, checkpoints, KEY, keys, now, SEALED_EVERY, 0)
        while await signer.sign_due():
            pass
        genuine = [one async for one in checkpoints.read()]
        assert genuine[-1].last_seq == len(found.log)
        assert [one.first_seq for one in genuine] == list(range(1, len(found.log) + 1, SEALED_EVERY))
        for one in genuine:
            previous = found.checkpoints[-1] if found.checkpoints else None
            part = leaves[one.first_seq - 1 : one.last_seq]
            found.checkpoints.append(make_checkpoint(previous, part, one.time, KEY))
    finally:
        await client.close()
    lines = [json.dumps(export_head(keys.as_texts())).encode(), *(one.encoded() for one in found.checkpoints)]
    found.exported.write_bytes(b"".join(line + b"\n" for line in lines))


def _without_expectation(message: Message) -> Message:
    kept = {k: v for k, v in message.headers.items() if not k.startswith("Nats-Expected")}
    return replace(message, headers=kept)
