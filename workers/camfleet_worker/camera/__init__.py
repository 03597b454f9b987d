# SPDX-License-Identifier: Apache-2.0
"""Runs each camera of a shard: its assignment, supervision, learnt values and sinks."""
