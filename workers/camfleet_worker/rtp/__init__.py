# SPDX-License-Identifier: Apache-2.0
"""RTP (RFC 3550) payloads of H.264 (RFC 6184) and H.265 (RFC 7798), put together to access
units."""
