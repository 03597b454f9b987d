# SPDX-License-Identifier: Apache-2.0
"""Relays to a monitoring system: a folder for each protocol, each with the same file names.

Beside the folders lies what all protocols share: targets, queues, waits, certificates.
"""
