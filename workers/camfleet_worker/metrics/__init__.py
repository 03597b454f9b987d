# SPDX-License-Identifier: Apache-2.0
"""The worker's Prometheus metrics: which there are, how they are read, and their reference."""
