# SPDX-License-Identifier: Apache-2.0
"""How cold the machine is: what the first work after a pause costs, against the same work in a row.

A reader that wakes ten times a second finds the caches as the rest of the machine has left them in
between. On a host shared with others that differs by the hour, and doubles what a reader uses that
does much at once and then sleeps, while one that never sleeps does not notice: figures of two runs
can be held against each other only where this one is alike.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

_ROUNDS = 20
_PAUSE_S = 0.1
"""A tick of the media loop."""
_OBJECTS = 3000
"""Some hundred kilobytes of small Python objects: what a tick of a few dozen streams touches."""


def coldness(cpu: int) -> float:
    """The cost of walking over objects after a tick's pause, as a multiple of doing so in a row."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        walk = _walk_over(_OBJECTS)
        _cpu_s(walk, 0.0)
        hot, cold = _cpu_s(walk, 0.0), _cpu_s(walk, _PAUSE_S)
    finally:
        os.sched_setaffinity(0, before)
    return cold / hot


def _walk_over(count: int) -> Callable[[], object]:
    objects = [({"number": n}, [n] * 4, str(n)) for n in range(count)]
    return lambda: sum(len(one) + len(two) + len(three) for one, two, three in objects)


def _cpu_s(work: Callable[[], object], pause_s: float) -> float:
    used = 0.0
    for _ in range(_ROUNDS):
        time.sleep(pause_s)
        began = time.thread_time()
        work()
        used += time.thread_time() - began
    return used / _ROUNDS
