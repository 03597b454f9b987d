# SPDX-License-Identifier: Apache-2.0
"""Reads a recording volume: lists recordings and gaps, and exports an interval as one file.

`python -m camfleet_worker.recordings` is its command line. It needs only the volume: no worker and
no API server. Recordings of all workers are read.
"""
