# SPDX-License-Identifier: Apache-2.0
"""Time of a camera's pictures: durations from its RTP clock, anchored to our clock. Pure."""
