# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.ingest_proof frames | sinks | kills | players`: the proofs that take too
long for `make test`, that is `make prove-frames` and its like."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import frames, kills, players, sinks


def main() -> int:
    """The exit status: 0 if every demand was met."""
    # Ends like Ctrl-C, so that everything is cleaned up in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    if arguments.proof == "kills":
        return kills.prove(arguments.kills, arguments.seed)
    if arguments.proof == "players":
        return players.prove(arguments.seconds, arguments.screenshots)
    if arguments.proof == "sinks":
        return sinks.prove(arguments.minutes)
    return frames.prove(arguments.minutes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.ingest_proof", description=__doc__)
    proofs = parser.add_subparsers(dest="proof", required=True)
    of_frames = proofs.add_parser("frames", help="every picture on disk and at the VMS, once")
    of_frames.add_argument("--minutes", type=float, default=10.0)
    of_sinks = proofs.add_parser("sinks", help="a VMS that is down or slow, a disk that is full")
    of_sinks.add_argument("--minutes", type=float, default=5.0)
    of_kills = proofs.add_parser("kills", help="a worker that is killed while it records")
    of_kills.add_argument("--kills", type=int, default=50)
    of_kills.add_argument("--seed", type=int, default=1, help="of the moments")
    of_players = proofs.add_parser("players", help="players that are not ours")
    of_players.add_argument("--seconds", type=float, default=35.0, help="to record")
    of_players.add_argument("--screenshots", type=Path, required=True, help="folder for them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
