# SPDX-License-Identifier: Apache-2.0
"""The queue of namespaces on a clock that tests set."""

from __future__ import annotations

import asyncio

import pytest

from camfleet_operator.queue import NamespaceQueue, Priority


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> NamespaceQueue:
    return NamespaceQueue(clock, lambda: 1.0)


async def next_of(queue: NamespaceQueue) -> str | None:
    """The next key, or None when none is due now."""
    task = asyncio.create_task(queue.get())
    for _ in range(5):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    return None


async def test_a_key_that_is_enqueued_twice_is_worked_on_once(queue: NamespaceQueue) -> None:
    queue.enqueue("a", Priority.SPEC)
    queue.enqueue("a", Priority.SPEC)
    assert await next_of(queue) == "a"
    queue.done("a", failed=False)
    assert await next_of(queue) is None


async def test_urgent_keys_go_first(queue: NamespaceQueue) -> None:
    queue.enqueue("resync", Priority.RESYNC)
    queue.enqueue("status", Priority.STATUS)
    queue.enqueue("spec", Priority.SPEC)
    assert [await next_of(queue) for _ in range(3)] == ["spec", "status", "resync"]


async def test_a_key_in_work_is_given_out_again_only_after_it_is_done(
    queue: NamespaceQueue,
) -> None:
    queue.enqueue("a", Priority.SPEC)
    assert await next_of(queue) == "a"
    queue.enqueue("a", Priority.SPEC)
    assert await next_of(queue) is None
    queue.done("a", failed=False)
    assert await next_of(queue) == "a"


async def test_a_failed_key_waits_longer_each_time_up_to_a_limit(
    queue: NamespaceQueue, clock: Clock
) -> None:
    queue.enqueue("bad", Priority.SPEC)
    waits = []
    for _ in range(12):
        began = clock.now
        while await next_of(queue) != "bad":
            clock.now += 0.5
        waits.append(clock.now - began)
        queue.done("bad", failed=True)
    assert waits[:4] == [0, 0.5, 1, 2]
    assert waits == sorted(waits)
    assert waits[-1] == 300


async def test_a_change_of_spec_ends_the_wait_of_a_failed_key(
    queue: NamespaceQueue, clock: Clock
) -> None:
    queue.enqueue("a", Priority.SPEC)
    await next_of(queue)
    for _ in range(9):
        queue.done("a", failed=True)
    queue.enqueue("a", Priority.STATUS)
    assert await next_of(queue) is None
    queue.enqueue("a", Priority.SPEC)
    assert await next_of(queue) == "a"


async def test_a_key_that_is_due_later_is_not_returned_before(
    queue: NamespaceQueue, clock: Clock
) -> None:
    queue.enqueue("a", Priority.SPEC, in_s=10)
    assert await next_of(queue) is None
    clock.now += 10
    assert await next_of(queue) == "a"


async def test_a_waiting_get_returns_when_a_key_is_enqueued(queue: NamespaceQueue) -> None:
    task = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.enqueue("a", Priority.SPEC)
    assert await asyncio.wait_for(task, 5) == "a"
