# SPDX-License-Identifier: Apache-2.0
"""Decides whether a stored object already contains all that we would apply. Pure.

The API server adds defaults, and other clients add fields, labels and list items; only the fields
that we would apply are compared. A field that we no longer apply changes the annotation
`fingerprint`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")
_FACTOR: dict[str, Decimal] = {
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGT", 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGT", 1)},
}


def fingerprint(value: object) -> str:
    """A short hash of a JSON value, equal for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def covers(stored: object, wanted: object) -> bool:
    """Whether `stored` contains everything of `wanted`, whatever else it contains."""
    if stored == wanted:
        return True  # Also spares the search below, quadratic for the 200 names of a Role.
    if isinstance(wanted, Mapping):
        return isinstance(stored, Mapping) and all(
            key in stored and covers(stored[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return (
            isinstance(stored, Sequence)
            and not isinstance(stored, str)
            and len(stored) >= len(wanted)
            and all(any(covers(item, one) for item in stored) for one in wanted)
        )
    return _same_quantity(stored, wanted)


def _same_quantity(stored: object, wanted: object) -> bool:
    """0.5 and 500m are the same amount; the API server stores the second."""
    left, right = _quantity(stored), _quantity(wanted)
    return left is not None and left == right


def _quantity(value: Any) -> Decimal | None:
    match = _QUANTITY.match(value) if isinstance(value, str) else None
    return Decimal(match[1]) * _FACTOR.get(match[2], Decimal(1)) if match else None
