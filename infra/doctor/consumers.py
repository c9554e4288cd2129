"""Checks of durable consumers: whether they exist, a process pulls from them, and how far they lag.

A consumer that no process pulls from silently blocks its work: dispatch submits nothing, deadlines end no
attempt, reports over NATS wait. A waiting pull request shows that a process is pulling.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from infra.doctor.examination import Examination
from infra.doctor.finding import Finding, ok, problem
from infra.nats.consumers import CONSUMERS, Consumer
from infra.plural import counted

POLL_SECONDS = 0.1
LATE_SECONDS = 10.0
_NO_CONSUMER = 10014


async def durable_consumers(about: Examination) -> list[Finding]:
    """One finding for each durable consumer."""
    return list(await asyncio.gather(*(_consumer(about, one) for one in CONSUMERS)))


async def _consumer(about: Examination, wanted: Consumer) -> Finding:
    info = await _info(about, wanted)
    if "error" in info:
        found = (
            "its consumer does not exist"
            if info["error"].get("err_code") == _NO_CONSUMER
            else f"its consumer cannot be looked at: {info['error'].get('description')}"
        )
        return problem(wanted.does, found, f"start {wanted.started_by}, which makes it")
    behind = info["num_pending"] + info["num_ack_pending"]
    found = f"{counted(behind, 'message')} behind"
    if behind:
        since = await _oldest(about, wanted, info)
        waited = max((about.now() - since).total_seconds(), 0.0) if since else 0.0
        found += f", the oldest for {waited:.0f} s"
    if not await _asked(about, wanted, info):
        return problem(wanted.does, f"no process asks for work; {found}", f"start {wanted.started_by}")
    if behind and waited > LATE_SECONDS:
        advice = f"look at the log lines of {wanted.started_by}; start another one if it is only busy"
        return problem(wanted.does, found, advice)
    return ok(wanted.does, found)


async def _info(about: Examination, wanted: Consumer) -> dict[str, Any]:
    return await about.ask(f"CONSUMER.INFO.{wanted.stream}.{wanted.name}")


async def _asked(about: Examination, wanted: Consumer, first: dict[str, Any]) -> bool:
    """Whether a process pulls or acknowledges messages within a moment."""
    end = asyncio.get_running_loop().time() + about.patience.asked_seconds
    info = first
    while True:
        if info.get("num_waiting") or info.get("ack_floor") != first.get("ack_floor"):
            return True
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(POLL_SECONDS)
        info = await _info(about, wanted)


async def _oldest(about: Examination, wanted: Consumer, info: dict[str, Any]) -> datetime | None:
    """When the first unacknowledged message of the consumer was stored.

    For reports it asks for the stream's state: reading one would reveal its token to the operator.
    """
    if wanted.takes_all:
        state = (await about.ask(f"STREAM.INFO.{wanted.stream}")).get("state", {})
        return datetime.fromisoformat(state["first_ts"]) if state.get("messages") else None
    config = info["config"]
    filters = config.get("filter_subjects") or [config.get("filter_subject") or ">"]
    start = info["ack_floor"]["stream_seq"] + 1
    bodies = [{"next_by_subj": subject, "seq": start} for subject in filters]
    answers = [await about.ask(f"STREAM.MSG.GET.{wanted.stream}", body) for body in bodies]
    found = [answer["message"] for answer in answers if "message" in answer]
    if not found:
        return None
    first = min(found, key=lambda message: message["seq"])
    return datetime.fromisoformat(first["time"])
