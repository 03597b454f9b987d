# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_operator`, `camfleet-operator`: reads the environment and runs the app."""

from __future__ import annotations

import os
import sys

from camfleet_base.environment import SettingsError
from camfleet_operator.settings import settings_from_env


def main() -> None:
    """Run until SIGTERM; the exit status is 0 only after a graceful stop."""
    try:
        settings = settings_from_env(os.environ)
    except SettingsError as error:
        sys.exit(f"camfleet-operator: {error}")
    from camfleet_operator.app import run

    sys.exit(run(settings))


if __name__ == "__main__":
    main()
