# SPDX-License-Identifier: Apache-2.0
"""The measurements are no installed packages: they are found from the project's root."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[3])

if ROOT not in sys.path:
    sys.path.append(ROOT)
