# SPDX-License-Identifier: Apache-2.0
"""The ingest worker: one process that runs the cameras of one IngestShard."""
