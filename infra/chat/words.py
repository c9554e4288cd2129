"""Words about tasks, locks and runners, for a small screen: the short end of an id stands for the id."""

from __future__ import annotations

from datetime import datetime

from domain.chat.cards import Card
from domain.chat.text import age, inert, one_line
from towpath_client import Runner, Task, WorkspaceLocks

SHORT = 8
TITLE_UNITS = 120
_ENDS = frozenset({"succeeded", "failed", "canceled", "submit-failed"})


def short(task_id: str) -> str:
    """The end of an id that people type."""
    return task_id[-SHORT:]


def title(task: Task) -> str:
    """A task's title on one line."""
    return one_line(task.title, TITLE_UNITS)


def status(task: Task) -> str:
    """Its status, and that it asks or waits for its lock."""
    if task.question is not None:
        return f"{task.status}, asks"
    if str(task.lock.state) == "waiting":
        return f"{task.status}, waits for its lock"
    return (
        f"{task.status}, cancel requested" if task.cancel_requested and not task.ended else str(task.status)
    )


def attempt(task: Task) -> str:
    """`attempt 2 is running`."""
    return f"attempt {task.attempt} is {status(task)}"


def held(task: Task) -> int | None:
    """The fencing token of the lock that it holds."""
    return task.lock.token if str(task.lock.state) == "held" else None


def over(card: Card, task: Task, now: datetime) -> str | None:
    """Why a second button, or a reply with a reason, does nothing any more; None while it may.

    It may have done its work before the bot ended and forgot that. So it is never said that nothing was done.
    """
    late = card.is_over(now)
    if card.kind in ("release", "reason") and held(task) != card.data["token"]:
        return f"over: token {card.data['token']} is not held any more"
    stopping = late and card.kind == "cancel" and task.cancel_requested
    if task.ended or task.attempt != card.attempt or stopping:
        return f"over: {attempt(task)}"
    return "not confirmed in time: send the command again" if late else None


def line(task: Task, now: datetime) -> str:
    """One line of a list: `6f1c1104 failed: deploy shop (shop, 3m ago)`."""
    since = (now - (task.finished_at or task.started_at or task.created_at)).total_seconds()
    place = f"{inert(task.workspace)}, " if task.workspace else ""
    return f"{short(task.id)} {status(task)}: {title(task)} ({place}{age(since)} ago)"


def summary(task: Task, now: datetime, base_url: str | None) -> str:
    """A task in a few lines."""
    lines = [f"{title(task)}", f"{status(task)}, attempt {task.attempt}" if task.attempt else status(task)]
    if task.reason or task.exit_code is not None:
        code = f"exit code {task.exit_code}" if task.exit_code is not None else ""
        lines.append(", ".join(one for one in (inert(task.reason or ""), code) if one))
    if task.message:
        lines.append(one_line(task.message, 500))
    where = [f"workspace {task.workspace}" if task.workspace else "", f"runner {task.runner_id or '–'}"]
    lines.append(inert(", ".join(one for one in where if one)))
    if (token := held(task)) is not None:
        lines.append(f"holds its lock, token {token}")
    lines.append(_times(task, now))
    if task.question is not None:
        lines.append(f"asks: {one_line(task.question.text, 1000)}")
    lines.append(f"id {task.id}")
    if base_url is not None:
        lines.append(link(task.id, base_url))
    return "\n".join(lines)


def link(task_id: str, base_url: str) -> str:
    """The task's page in the console."""
    return f"{base_url.rstrip('/')}/console/tasks/{task_id}"


def _times(task: Task, now: datetime) -> str:
    if task.started_at is None:
        return f"created {age((now - task.created_at).total_seconds())} ago"
    if task.finished_at is None:
        return f"running for {age((now - task.started_at).total_seconds())}"
    ran = age((task.finished_at - task.started_at).total_seconds())
    return f"ran for {ran}, until {clock_time(task.finished_at)}"


def clock_time(at: datetime) -> str:
    """`12:03 UTC`."""
    return f"{at:%H:%M} UTC"


def locks_of(one: WorkspaceLocks, now: datetime) -> list[str]:
    """Who holds and who waits in a workspace."""
    lines = [inert(one.workspace)]
    for holder in one.holders:
        for_long = age((now - holder.since).total_seconds())
        runner = f" on {inert(holder.runner_id)}" if holder.runner_id else ""
        lost = f" ({holder.runner_state})" if holder.runner_state not in (None, "alive") else ""
        where = _paths(holder.paths)
        lines.append(
            f"  {short(holder.task_id)} holds {where}{runner}{lost}, token {holder.token}, {for_long}"
        )
    for waiter in one.waiters:
        for_long = age((now - waiter.since).total_seconds())
        lines.append(f"  {short(waiter.task_id)} waits, position {waiter.position}, {for_long}")
    return lines


def _paths(paths: list[str]) -> str:
    if not paths:
        return "all"
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return one_line(paths[0], 60) + more


def runner_line(one: Runner, now: datetime) -> str:
    """`host-1 alive: 2 of 4, pools default`."""
    running, pools = len(one.running_attempts), inert(", ".join(one.pools))
    said = f"{inert(one.id)} {one.state}: {running} of {one.capacity}, pools {pools}"
    if one.state != "alive":
        said += f", last heard {age((now - one.last_heartbeat).total_seconds())} ago"
    if one.awaiting_operator:
        kept = ", ".join(short(held.task_id) for held in one.awaiting_operator[:5])
        said += f"; keeps locks for an operator: {kept}"
    return said
