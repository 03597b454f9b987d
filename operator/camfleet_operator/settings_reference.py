# SPDX-License-Identifier: Apache-2.0
"""`python -m camfleet_operator.settings_reference [--check]`: writes SETTINGS.md, called by
`make generate` and `make lint`. The running operator does not import it."""

from __future__ import annotations

from pathlib import Path

from camfleet_base.generated_file import main
from camfleet_base.settings_reference import markdown
from camfleet_operator.settings import VARIABLES

if __name__ == "__main__":
    main(
        Path(__file__).with_name("SETTINGS.md"),
        markdown(
            "Settings of the operator",
            "settings.py",
            "Environment variables that the operator reads once at start. The chart sets them from "
            "its values; one that is empty counts as not set.",
            VARIABLES,
        ),
    )
