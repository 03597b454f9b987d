# SPDX-License-Identifier: Apache-2.0
"""How text of a peer that goes back to it keeps its octets."""

from __future__ import annotations

OCTETS = "surrogateescape"
"""How octets of a peer that are no UTF-8 stand in text that goes back to it, and nowhere else."""
