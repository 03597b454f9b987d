# SPDX-License-Identifier: Apache-2.0
"""Prints what a worker says of each case; `--help` says how."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import sys
from collections.abc import Sequence

from camera_simulator.condition_messages.camera_cases import camera_cases
from camera_simulator.condition_messages.case import Case
from camera_simulator.condition_messages.play import play
from camera_simulator.condition_messages.rows import Row
from camera_simulator.condition_messages.vms_cases import vms_cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rows; the exit status is 1 where a name is unknown."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.CRITICAL)
    cases = {case.name: case for case in (*camera_cases(), *vms_cases())}
    if asked.list:
        for case in cases.values():
            print(f"{case.name:36}{case.sentence}")
        return 0
    unknown = [name for name in asked.only if name not in cases]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; --list names every case", file=sys.stderr)
        return 1
    chosen = [cases[name] for name in asked.only] or list(cases.values())
    asyncio.run(_print(chosen, asked.at_once, as_json=asked.json))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "condition_messages",
        description="Plays every fault before a worker and prints what its conditions say.",
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these cases alone")
    parser.add_argument("--list", action="store_true", help="the names of all cases, and no more")
    parser.add_argument("--json", action="store_true", help="an object a line")
    parser.add_argument("--at-once", type=int, default=48, help="how many cases (default: 48)")
    return parser


async def _print(cases: Sequence[Case], at_once: int, *, as_json: bool) -> None:
    async for row in play(cases, at_once, _progress):
        print(_as_json(row) if as_json else f"{row.text()}\n", flush=True)


def _as_json(row: Row) -> str:
    return json.dumps(dataclasses.asdict(row), ensure_ascii=False)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
