# SPDX-License-Identifier: Apache-2.0
"""The relay by RTMP (Adobe's specification 1.0)."""
