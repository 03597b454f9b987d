# SPDX-License-Identifier: Apache-2.0
"""The operator of camfleet: turns declared sites and cameras into running workers, and reports why
when it cannot. `app` composes it; `DESIGN.md` describes the flow."""
