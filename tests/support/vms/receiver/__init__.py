# SPDX-License-Identifier: Apache-2.0
"""The receiving process: GStreamer's RTSP server taking RECORD on any path, and an HTTP door beside
it.

Run as `/usr/bin/python3 -m vms.receiver` with the system's Python, the only one that has
GStreamer's bindings; therefore standard library and `gi` only. Its configuration comes in as one
JSON line on stdin, so that no password stands on a command line; it answers with one JSON line that
names its ports.
"""
