# SPDX-License-Identifier: Apache-2.0
"""Says on stderr which step runs and how long it took.

Called by everything here that may take longer than a second. It decides nothing and swallows
nothing.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce `what` when it takes a while, and its duration when it is over."""
    began = time.monotonic()
    say(f"{what} ...")
    try:
        yield
    except BaseException:
        say(f"{what}: failed after {time.monotonic() - began:.1f} s")
        raise
    say(f"{what}: {time.monotonic() - began:.1f} s")


def say(line: str) -> None:
    print(f"[local-cluster] {line}", file=sys.stderr, flush=True)
