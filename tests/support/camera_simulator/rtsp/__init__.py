# SPDX-License-Identifier: Apache-2.0
"""The replay server: RTSP/1.0 over TCP with packets prepared beforehand, cheap enough for 500
cameras."""
