# SPDX-License-Identifier: Apache-2.0
"""The command line of every generator that writes one file: write it, or check that it is current.

Each generator is a module that calls `main` with its file and what it should hold; `make generate`
runs them all, `make lint` runs them with `--check`. It knows nothing of what a file is about.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(file: Path, content: str) -> None:
    """Write the file, or with `--check` write nothing and exit with 1 where it is another."""
    parser = argparse.ArgumentParser(description=f"Write {file.name} from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    if not parser.parse_args().check:
        file.write_text(content, "utf-8")
    elif not file.exists() or file.read_text("utf-8") != content:
        sys.exit(f"{file} is not what the code declares: run `make generate`")
