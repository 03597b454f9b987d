# SPDX-License-Identifier: Apache-2.0
"""Cameras whose RTSP is GStreamer's: a server that we did not write, for interoperability and the
demo.

Two halves joined by JSON lines: `host.py` on our side, and `python -m camera_simulator.gstreamer`,
which runs with the system's Python because only that has GStreamer's bindings. Passwords go through
stdin.
"""
