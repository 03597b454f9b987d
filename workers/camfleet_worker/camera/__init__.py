# SPDX-License-Identifier: Apache-2.0
"""The life of each camera of a shard: assignment, supervision, what is remembered, its sinks."""
