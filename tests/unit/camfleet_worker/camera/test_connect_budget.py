# SPDX-License-Identifier: Apache-2.0
"""Backoff and connect budget: what keeps the cameras of a fleet from connecting all at once."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.base.backoff import Backoff
from camfleet_worker.camera.connect_budget import ConnectBudget
from virtual_time import run_virtual


def test_full_jitter_doubles_its_bound_up_to_the_most_and_starts_anew() -> None:
    backoff = Backoff(first_s=1, most_s=30, uniform=lambda low, high: high)
    assert [backoff.next_s() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_s() == 1


def test_jitter_reaches_down_to_nothing() -> None:
    assert Backoff(uniform=lambda low, high: low).next_s() == 0


def test_a_site_keeps_to_its_budget_and_another_site_does_not_wait_for_it() -> None:
    async def main() -> None:
        budget = ConnectBudget()
        times: dict[str, list[float]] = {"a": [], "b": []}

        async def connect(site: str) -> None:
            await budget.take(site, 2)
            times[site].append(asyncio.get_running_loop().time())

        await asyncio.gather(*(connect(s) for s in ["a"] * 20 + ["b"] * 2))
        assert max(times["a"]) == 9.5
        assert max(times["b"]) < 0.6

    run_virtual(main())


@given(
    cameras=st.lists(st.sampled_from("aaaaaabc"), min_size=1, max_size=120),
    per_s=st.integers(1, 30),
    impatient=st.sets(st.integers(0, 119)),
)
def test_connects_keep_to_both_budgets_in_order_whichever_camera_stops_waiting(
    cameras: list[str], per_s: int, impatient: set[int]
) -> None:
    async def main() -> list[tuple[float, str, int]]:
        budget = ConnectBudget(worker_per_s=20)
        served: list[tuple[float, str, int]] = []

        async def connect(number: int, site: str) -> None:
            await budget.take(site, per_s)
            served.append((asyncio.get_running_loop().time(), site, number))

        tasks = [asyncio.create_task(connect(n, site)) for n, site in enumerate(cameras)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in impatient:
            if number < len(tasks):
                tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return served

    served = run_virtual(main())
    for site, allowed in (("a", per_s), ("b", per_s), ("c", per_s), ("abc", 20)):
        times = [at for at, of, _ in served if of in site]
        for begin in times:
            assert len([at for at in times if begin <= at < begin + 0.999]) <= allowed
    for site in "abc":
        numbers = [number for _, of, number in served if of == site]
        assert numbers == sorted(numbers)
    assert {number for _, _, number in served} >= set(range(len(cameras))) - impatient


def test_a_small_site_does_not_wait_for_a_large_one() -> None:
    async def main() -> dict[str, float]:
        budget, last = ConnectBudget(worker_per_s=10), {}

        async def connect(site: str) -> None:
            await budget.take(site, 100)
            last[site] = asyncio.get_running_loop().time()

        await asyncio.gather(*(connect(site) for site in ["large"] * 100 + ["small"] * 2))
        return last

    last = run_virtual(main())
    assert last["small"] < 0.5
    assert last["large"] > 9.0
