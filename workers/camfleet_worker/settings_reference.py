# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_worker.settings_reference [--check]`: writes SETTINGS.md, called by
`make generate` and `make lint`. The running worker does not import it."""

from __future__ import annotations

from pathlib import Path

from camfleet_base.generated_file import main
from camfleet_base.settings_reference import markdown
from camfleet_worker.settings import VARIABLES

if __name__ == "__main__":
    main(
        Path(__file__).with_name("SETTINGS.md"),
        markdown(
            "Settings of a worker",
            "settings.py",
            "Environment variables that a worker reads once at start. The operator sets them in "
            "the worker's Deployment; the chart's `worker.env` adds to them. One that is "
            "empty counts as not set.",
            VARIABLES,
        ),
    )
