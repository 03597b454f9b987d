# SPDX-License-Identifier: Apache-2.0
"""What the worker serves over HTTP: probes, metrics, snapshots and the journal."""
