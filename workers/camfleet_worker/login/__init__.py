# SPDX-License-Identifier: Apache-2.0
"""Accounts of cameras and monitoring systems, and how often each may be tried."""
