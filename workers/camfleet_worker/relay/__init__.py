# SPDX-License-Identifier: Apache-2.0
"""Relays to a monitoring system: a folder for each protocol, and beside them what all of them share."""
