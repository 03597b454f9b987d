# SPDX-License-Identifier: Apache-2.0
"""Makes plans: pure functions of a snapshot and the time.

Nothing in this package waits, reads a clock, draws a random number or sends a request.
"""
