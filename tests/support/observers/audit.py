"""An auditor of the log who trusts nobody: chains, versions and locks, recomputed from the contract alone."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import nats

_FIRST = "0" * 64


@dataclass
class Audit:
    """What was found; `chains` is the `ce-chain` at each sequence."""

    chains: dict[int, str] = field(default_factory=dict)
    subjects: dict[int, str] = field(default_factory=dict)
    granted: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    _ends: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    _held: dict[tuple[str, int], tuple[str, list[str], str]] = field(default_factory=dict)

    def add(self, seq: int, subject: str, headers: dict[str, str], data: bytes) -> None:
        """Check one stored event against all before it."""
        assert seq == len(self.chains) + 1, f"a gap before {seq}"
        _, kind, entity, event = subject.split(".")
        previous, version = self._ends.get((kind, entity), (_FIRST, 0))
        assert headers["ce-entityversion"] == str(version + 1), (seq, subject)
        assert headers["ce-chain"] == _chain(previous, subject, headers, data), (seq, subject)
        self._ends[kind, entity] = headers["ce-chain"], version + 1
        self.chains[seq], self.subjects[seq] = headers["ce-chain"], subject
        if kind == "lock":
            self._lock(seq, entity, event, json.loads(data))

    def _lock(self, seq: int, workspace: str, event: str, fact: dict) -> None:
        claim = fact["task_id"], fact["attempt"]
        if event == "released":
            del self._held[claim]
        elif event == "granted":
            wanted = workspace, fact["paths"], fact["mode"]
            for other in self._held.values():
                assert not _conflict(wanted, other), f"{seq}: {wanted} granted beside {other}"
            self._held[claim] = wanted
            self.granted.setdefault(claim, []).append(seq)
            assert len(self.granted[claim]) == 1, f"{claim} granted twice"


async def audit(nats_url: str) -> Audit:
    """Read the whole log as a guest and check it."""
    nc = await nats.connect(nats_url)
    try:
        info = json.loads((await nc.request("$JS.API.STREAM.INFO.TOWPATH", b"", timeout=10)).data)
        state, found = info["state"], Audit()
        assert state["num_deleted"] == 0 if "num_deleted" in state else True
        for seq in range(1, state["last_seq"] + 1):
            question = json.dumps({"seq": seq}).encode()
            stored = await nc.request("$JS.API.DIRECT.GET.TOWPATH", question, timeout=10)
            headers = dict(stored.headers or {})
            assert headers["Nats-Sequence"] == str(seq)
            found.add(seq, headers["Nats-Subject"], headers, stored.data)
        return found
    finally:
        await nc.close()


def _chain(previous: str, subject: str, headers: dict[str, str], data: bytes) -> str:
    names = sorted(name for name in headers if name.startswith("ce-") and name != "ce-chain")
    lines = [previous, subject, *(f"{name}:{headers[name]}" for name in names)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode() + data).hexdigest()


def _conflict(one: tuple[str, list[str], str], other: tuple[str, list[str], str]) -> bool:
    if one[0] != other[0] or one[2] == other[2] == "shared":
        return False
    pairs = [(PurePosixPath(a), PurePosixPath(b)) for a in one[1] or ["."] for b in other[1] or ["."]]
    return any(a.is_relative_to(b) or b.is_relative_to(a) for a, b in pairs)
