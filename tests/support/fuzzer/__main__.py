# SPDX-License-Identifier: Apache-2.0
"""`python -m fuzzer`: the long campaign. Exit code 1 when something was found."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from fuzzer.campaign import Finding, run
from fuzzer.conversations import converse
from fuzzer.targets import TARGETS


def main() -> int:
    """Run, print totals and findings, keep the inputs that are findings."""
    options = _options()
    names = options.target or list(TARGETS)
    began = time.monotonic()

    def progress(done: dict[str, int], findings: int) -> None:
        total = sum(done.values())
        rate = total / (time.monotonic() - began)
        print(f"{total:>9} inputs, {rate:.0f}/s, {findings} findings", flush=True)

    done, findings = run(options.inputs, options.processes, names, progress)
    for name, count in done.items():
        print(f"{name:<22}{count:>9} inputs")
    print(
        f"{sum(done.values())} inputs in {time.monotonic() - began:.0f} s, {len(findings)} findings"
    )
    for one in findings:
        _keep(one, options.keep)
    spoken = _converse(options.conversations)
    return 1 if findings or spoken else 0


def _converse(count: int) -> list[str]:
    """Whole conversations over real sockets; what was found."""
    began = time.monotonic()
    heard = asyncio.run(converse(0, count))
    print(
        f"{count} conversations in {time.monotonic() - began:.0f} s: {heard.streams} streams, "
        + ", ".join(f"{many} {reason}" for reason, many in sorted(heard.refusals.items()))
        + f", {len(heard.findings)} findings"
    )
    for finding in heard.findings:
        print(finding)
    return heard.findings


def _keep(one: Finding, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / one.name).write_bytes(one.data)
    print(f"\n{one.target} input {one.number}, kept as {folder / one.name}\n{one.trace}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzzer", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all (default 1000000)")
    parser.add_argument("--conversations", type=int, default=10_000, help="by RTSP and ONVIF")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one")
    parser.add_argument(
        "--keep", type=Path, default=Path("/tmp/camfleet-findings"), help="where findings go"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
