# SPDX-License-Identifier: Apache-2.0
"""Writes Camera statuses from facts, with as few server-side applies as possible."""
