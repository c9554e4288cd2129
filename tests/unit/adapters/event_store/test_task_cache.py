"""The cache hands out copies: what a command changes is nobody else's until the log has taken it."""

from __future__ import annotations

import asyncio

from adapters.event_store.task_cache import TaskCache
from domain.locks.claims import FIRST_CHAIN
from domain.ports.log import StoredTask
from domain.task.aggregate import Task
from tests.support.messages import created, new_id, now


def stored() -> StoredTask:
    task = Task.create(new_id(), created(), at=now(), actor="operator:ann")
    task.collect_events()
    return StoredTask(task, 1, FIRST_CHAIN, fresh=True)


def test_a_change_to_what_was_loaded_stays_with_who_loaded_it() -> None:
    cache = TaskCache(10)
    original = stored()
    task_id = original.task.id
    cache.put(original)
    loaded = cache.get(task_id)
    assert loaded is not None
    loaded.task.dispatch(None, at=now(), actor="operator:ann")
    original.task.cancel(reason=None, at=now(), actor="operator:ann")
    again = cache.get(task_id)
    assert again is not None
    assert (again.task.status, again.task.version, again.task.pending_events) == ("created", 1, [])
    assert (again.seq, again.fresh, again.recorded) == (1, False, False)


def test_the_least_recently_used_goes_first() -> None:
    cache = TaskCache(2)
    first, second, third = stored(), stored(), stored()
    cache.put(first)
    cache.put(second)
    cache.get(first.task.id)
    cache.put(third)
    assert cache.get(second.task.id) is None
    assert cache.get(first.task.id) is not None


def test_without_a_size_nothing_is_kept() -> None:
    cache = TaskCache(0)
    one = stored()
    cache.put(one)
    assert cache.get(one.task.id) is None


async def test_one_user_of_a_task_at_a_time_and_no_turn_is_left_behind() -> None:
    cache = TaskCache(10)
    inside, most = 0, 0

    async def use(task_id: str) -> None:
        nonlocal inside, most
        async with cache.exclusive(task_id):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    users = [asyncio.create_task(use("a")) for _ in range(20)]
    await asyncio.sleep(0)
    users[7].cancel()
    await asyncio.gather(*users, return_exceptions=True)
    assert most == 1
    assert not cache._turns
