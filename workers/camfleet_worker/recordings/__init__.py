# SPDX-License-Identifier: Apache-2.0
"""Reading a recording volume: what lies on it, what is missing, and one file for an interval.

`python -m camfleet_worker.recordings` is its command line. It needs the volume and nothing else: no
worker, no API server, and no matter which worker has written.
"""
