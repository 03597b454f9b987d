# SPDX-License-Identifier: Apache-2.0
"""Journals: when a camera's stream arrived, was relayed and was recorded, and the cause of gaps."""
