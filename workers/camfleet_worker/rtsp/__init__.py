# SPDX-License-Identifier: Apache-2.0
"""RTSP 1.0 (RFC 2326), the protocol installed cameras speak: messages, login, SDP, one session."""
