# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.fleet line-cut | flapping`: the measurements of whole fleets, that is
`make bench-fleet` and `make bench-flapping`."""

from __future__ import annotations

import argparse
import signal
import sys

from . import flapping, line_cut


def main() -> int:
    """The exit status: 0 if every demand was met."""
    # Ends like Ctrl-C, so that everything is cleaned up in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _arguments()
    if arguments.measurement == "line-cut":
        return line_cut.measure(
            arguments.sites,
            arguments.cameras,
            arguments.strangers,
            arguments.cut_s,
            arguments.settle_s,
            arguments.per_worker,
        )
    return flapping.measure(
        arguments.sites,
        arguments.cameras,
        arguments.share,
        60 * arguments.minutes,
        arguments.seed,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.fleet", description=__doc__)
    kinds = parser.add_subparsers(dest="measurement", required=True)
    cut = kinds.add_parser("line-cut", help="the line of all cameras is cut, then of one site")
    cut.add_argument("--sites", type=int, default=32)
    cut.add_argument("--cameras", type=int, default=16, help="cameras a site")
    cut.add_argument("--strangers", type=int, default=12, help="cameras with another password")
    cut.add_argument("--cut-s", type=float, default=60.0)
    cut.add_argument("--settle-s", type=float, default=75.0, help="pause before and after a cut")
    cut.add_argument("--per-worker", type=int, default=200, help="cameras a worker, at most")
    flaps = kinds.add_parser("flapping", help="some cameras come and go, the others must not care")
    flaps.add_argument("--sites", type=int, default=4)
    flaps.add_argument("--cameras", type=int, default=15, help="cameras a site")
    flaps.add_argument("--share", type=float, default=0.3, help="of the cameras that flap")
    flaps.add_argument("--minutes", type=float, default=60.0)
    flaps.add_argument("--seed", type=int, default=1, help="of what befalls whom when")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
