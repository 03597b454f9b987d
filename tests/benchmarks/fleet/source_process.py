# SPDX-License-Identifier: Apache-2.0
"""The handle of the cameras' process. Used by `running_fleet.py` and the measurements."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from camera_simulator.footage import prepare

from .source import CLIP
from .source_network import SourceNetwork

Raw = dict[str, Any]


class SourceProcess:
    """Cameras in the source's network, playing from the moment it is made."""

    def __init__(self, network: SourceNetwork, cameras: Sequence[Raw]) -> None:
        prepare(CLIP)
        self._process = subprocess.Popen(
            network.inside([sys.executable, "-m", "benchmarks.fleet.source"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask(list(cameras))

    @property
    def pid(self) -> int:
        return self._process.pid

    def counters(self) -> dict[str, dict[str, int]]:
        """What each camera has seen; see `source.py`."""
        return dict(self._ask({"do": "counters"}))

    def change(self, cameras: Mapping[str, Raw]) -> None:
        """Change settings of cameras by name."""
        self._ask({"do": "change", "cameras": dict(cameras)})

    def stop(self) -> None:
        """Take every camera off the wall."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(30)

    def _ask(self, what: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the cameras' process ended with {self._process.wait(10)}")
        return json.loads(answer)
