"""Findings that need a person: each a sentence, with its subject and where to look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

from pydantic import BaseModel

from api.dependencies import ApiParts
from api.queries.figures.stock import READ_MODEL, VIEW, Stock
from api.queries.notices import undelivered
from api.queries.runner_status import grant_state
from domain.identifiers import RunnerId, TaskId, WorkspaceId
from domain.locks.claims import Claim, Grant, Waiter
from domain.ports.read_model import Failures, UnconfirmedCancel
from domain.protocol import rfc3339

LONG_WAIT = timedelta(minutes=5)
CONFIRMED_WITHIN = timedelta(seconds=60)
FAILURES_WITHIN = timedelta(hours=1)
LAG_EVENTS, LAG_SECONDS = 1000, 10.0
MOST_OF_A_KIND = 20

Kind = Literal[
    "unknown", "log-room", "lost-runner-holds-lock", "dead-letters", "cancel-not-confirmed", "long-wait",
    "failures", "lag", "runner-conflict", "open-questions", "undelivered-notices",
]  # fmt: skip


class Attention(BaseModel):
    """Something that a person should look at: `link` is a path of this API, with its filter.

    `since`: when it began. `number`: of how many of the kind this one tells.
    """

    kind: Kind
    sentence: str
    link: str
    since: datetime | None = None
    number: int = 1
    task_id: TaskId | None = None
    workspace: WorkspaceId | None = None
    runner_id: RunnerId | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What the sentences are made from; `waits` has the longest first. None: unknown now."""

    stock: Stock
    lost: Sequence[Grant]
    waits: Sequence[Waiter]
    cancels: Sequence[UnconfirmedCancel] | None
    failures: Failures | None
    titles: Mapping[TaskId, str]
    now: datetime

    def name(self, task_id: TaskId) -> str:
        """How a sentence calls a task."""
        return self.titles.get(task_id) or f"task {task_id[-8:]}"


def lost_holders(parts: ApiParts, stock: Stock) -> list[Grant]:
    """Grants whose runner is lost, by workspace."""
    if stock.runners is None:
        return []
    recent, now = stock.runners.recent, parts.clock()
    every = (grant for name in parts.view.open_workspaces() for grant in parts.view.holders(name))
    return [one for one in every if one.runner_id and grant_state(parts, one, recent, now) == "lost"]


def attention(parts: ApiParts, seen: Observed) -> list[Attention]:
    """All that needs a person, the most urgent first."""
    makers = (
        _unknown(seen), _log_room(parts), _lost(seen), _dead_letters(seen), _cancels(seen), _waits(seen),
        _failures(seen), _undelivered(seen), _lags(seen), _conflicts(seen), _questions(seen),
    )  # fmt: skip
    return [one for made in makers for one in made]


def _unknown(seen: Observed) -> Iterator[Attention]:
    stock = seen.stock
    parts = {
        "the read model": (stock.tasks, stock.questions, seen.cancels, seen.failures),
        "the heartbeats of runners": (stock.runners,),
        "the dead letters": (stock.dead_letters,),
    }
    for name, found in parts.items():
        if any(one is None for one in found):
            sentence = f"{name} cannot be read now, so what they would tell is missing here"
            yield Attention(kind="unknown", sentence=sentence, link="/readyz")


def _log_room(parts: ApiParts) -> Iterator[Attention]:
    for bound in parts.capacity.bounds():
        if bound.spare > bound.reserve:
            continue
        left = max(bound.left, 0) >> 20
        if bound.spare <= 0:
            sentence = f"{bound.shortage}. New tasks and attempts are refused"
        else:
            kept = f"of which {bound.reserve >> 20} are kept for ends"
            sentence = f"{bound.name} has room for {left} MiB, {kept}: {bound.advice}"
        yield Attention(kind="log-room", sentence=sentence, link="/overview")


def _lost(seen: Observed) -> Iterator[Attention]:
    recent = seen.stock.runners.recent if seen.stock.runners is not None else {}
    for grant in seen.lost[:MOST_OF_A_KIND]:
        claim, beats = grant.claim, recent.get(grant.runner_id or "", ())
        heard = beats[-1][1] if beats else datetime.fromisoformat(grant.bound_at or grant.since)
        yield Attention(
            kind="lost-runner-holds-lock",
            sentence=f"{grant.runner_id} was last heard {_ago(seen.now - heard)} ago; "
            f"{seen.name(claim.task_id)} still holds {_where(claim)}, token {grant.token}",
            link=f"/workspaces/{claim.workspace}/locks",
            since=heard,
            number=len(seen.lost),
            task_id=claim.task_id,
            workspace=claim.workspace,
            runner_id=grant.runner_id,
        )


def _dead_letters(seen: Observed) -> Iterator[Attention]:
    number = seen.stock.dead_letters
    if number:
        wait = "waits" if number == 1 else "wait"
        sentence = f"{_counted(number, 'message')} could not be applied and {wait} for you"
        yield Attention(kind="dead-letters", sentence=sentence, link="/dead", number=number)


def _undelivered(seen: Observed) -> Iterator[Attention]:
    number, names = undelivered(seen.stock.notices or ())
    if number:
        channels = ", ".join(names)
        sentence = f"{_counted(number, 'notice')} could not be sent to {channels}"
        yield Attention(
            kind="undelivered-notices", sentence=sentence, link="/notices?state=dead", number=number
        )


def _cancels(seen: Observed) -> Iterator[Attention]:
    for one in seen.cancels or ():
        ago = _ago(seen.now - one.asked_at)
        asked = f"was asked {ago} ago to stop {one.title or one.id} and has not confirmed it"
        yield Attention(
            kind="cancel-not-confirmed",
            sentence=f"{one.runner_id or 'the runner'} {asked}",
            link=f"/tasks/{one.id}",
            since=one.asked_at,
            number=len(seen.cancels or ()),
            task_id=one.id,
            runner_id=one.runner_id,
        )


def _waits(seen: Observed) -> Iterator[Attention]:
    long = [one for one in seen.waits if waited(one, seen.now) >= LONG_WAIT]
    for waiter in long[:MOST_OF_A_KIND]:
        claim = waiter.claim
        behind = f" behind {seen.name(waiter.blocked_by[0])}" if waiter.blocked_by else ""
        more = f" and {_counted(waiter.in_the_way - 1, 'other')}" if waiter.in_the_way > 1 else ""
        yield Attention(
            kind="long-wait",
            sentence=f"{seen.name(claim.task_id)} has waited {_ago(waited(waiter, seen.now))} for "
            f"{_where(claim)}{behind}{more}",
            link=f"/tasks/{claim.task_id}/why",
            since=datetime.fromisoformat(claim.since),
            number=len(long),
            task_id=claim.task_id,
            workspace=claim.workspace,
        )


def _failures(seen: Observed) -> Iterator[Attention]:
    found = seen.failures
    if found is None or not found.number:
        return
    number = found.number
    runner, most = next(((one, count) for one, count in found.by_runner if one is not None), (None, 0))
    of_one = most > 1 and len(found.by_runner) > 1
    on = f", {most} of them on {runner}" if of_one else f", on {runner}" if most == number else ""
    since = seen.now - FAILURES_WITHIN
    statuses = [("status", one) for one in sorted(found.by_status)]
    wanted = urlencode([*statuses, ("finished_after", rfc3339(since)), ("on_request", "false")])
    yield Attention(
        kind="failures",
        sentence=f"{_counted(number, 'failure')} in the last hour{on}: {_titles(found.newest, number)}",
        link=f"/tasks?{wanted}",
        since=since,
        number=number,
        runner_id=runner if on else None,
    )


def _titles(newest: Sequence[str], number: int) -> str:
    """The newest titles, each once."""
    named = list(dict.fromkeys(newest))
    return ", ".join(named) + (", …" if number > len(newest) else "")


def _lags(seen: Observed) -> Iterator[Attention]:
    for name, lag in seen.stock.lags.items():
        if lag is not None and (lag.events >= LAG_EVENTS or lag.seconds >= LAG_SECONDS):
            what = {VIEW: "this process", READ_MODEL: "the read model"}.get(name, f"the queue {name}")
            since = seen.now - timedelta(seconds=lag.seconds)
            age = _ago(timedelta(seconds=lag.seconds))
            sentence = f"{what} is {_counted(lag.events, 'event')} behind the log, the oldest {age} old"
            yield Attention(kind="lag", sentence=sentence, link="/metrics", since=since, number=lag.events)


def _conflicts(seen: Observed) -> Iterator[Attention]:
    number = seen.stock.runners.conflicts if seen.stock.runners is not None else 0
    if number:
        several = "one id is" if number == 1 else f"{number} ids are each"
        sentence = f"{several} used by several runners in turn: give each runner an id of its own"
        yield Attention(kind="runner-conflict", sentence=sentence, link="/runners", number=number)


def _questions(seen: Observed) -> Iterator[Attention]:
    found = seen.stock.questions
    if found is None or found.oldest is None or found.task_id is None:
        return
    number, age, first = found.number, _ago(seen.now - found.oldest), seen.name(found.task_id)
    if number == 1:
        sentence, link = f"{first} asks, and has waited {age} for an answer", f"/tasks/{found.task_id}"
    else:
        sentence = f"{_counted(number, 'question')} wait for an answer, the oldest, of {first}, for {age}"
        link = "/tasks?asking=true"
    yield Attention(
        kind="open-questions",
        sentence=sentence,
        link=link,
        since=found.oldest,
        number=number,
        task_id=found.task_id,
    )


def waited(waiter: Waiter, now: datetime) -> timedelta:
    """How long a claim has waited."""
    return max(now - datetime.fromisoformat(waiter.claim.since), timedelta())


def _where(claim: Claim) -> str:
    paths, more = claim.paths[:3], len(claim.paths) - 3
    named = ", ".join(paths) + (f" and {more} more" if more > 0 else "")
    return f"{claim.workspace}:{named}" if paths else f"all of {claim.workspace}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ago(age: timedelta) -> str:
    seconds = max(int(age.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"
