# SPDX-License-Identifier: Apache-2.0
"""Says which step runs, how long it took, and what a wait still lacks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class DemoFailed(Exception):
    """The demo cannot go on; the message says what to do."""


class Progress:
    """Prints one line a step. On a terminal a wait redraws its line, elsewhere it adds lines."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._step = 0
        self._live = sys.stdout.isatty()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and its duration when it is through."""
        self._step += 1
        label = f"[{self._step}/{self._total}] {title}"
        print(f"{label} …", flush=True)
        started = time.monotonic()
        yield
        print(f"{label}: {time.monotonic() - started:.1f} s", flush=True)

    def wait(self, missing: Callable[[], list[str]], within_s: float) -> list[str]:
        """Poll until `missing` answers nothing; answer what is still missing at the end."""
        deadline = time.monotonic() + within_s
        shown: list[str] = []
        while lacking := missing():
            if lacking != shown:
                self._say(lacking)
                shown = lacking
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if self._live and shown:
            print()
        return lacking

    def _say(self, lacking: list[str]) -> None:
        text = f"      missing {len(lacking)}: {', '.join(lacking[:6])}"
        text += " …" if len(lacking) > 6 else ""
        if self._live:
            print(f"\r\033[K{text[:150]}", end="", flush=True)
        else:
            print(text, flush=True)
