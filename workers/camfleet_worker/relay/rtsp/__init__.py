# SPDX-License-Identifier: Apache-2.0
"""The relay by RTSP ANNOUNCE and RECORD (RFC 2326)."""
