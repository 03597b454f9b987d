# SPDX-License-Identifier: Apache-2.0
"""What should be, from what is: pure functions of a snapshot and the time.

Nothing in this package waits, reads a clock, draws a random number or talks to anyone.
"""
