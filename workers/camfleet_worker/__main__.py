# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_worker`: the parent. With `--run`: the worker itself, as its child."""

from __future__ import annotations

import sys

RUN = "--run"


def main() -> int:
    """Entry point of the container and of the script camfleet-worker."""
    if sys.argv[1:] == [RUN]:
        from camfleet_worker.app import run  # the parent must not pay for the worker's imports

        return run()
    from camfleet_worker.parent import Parent

    return Parent([sys.executable, "-m", "camfleet_worker", RUN]).run()


if __name__ == "__main__":
    sys.exit(main())
