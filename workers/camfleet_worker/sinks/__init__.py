# SPDX-License-Identifier: Apache-2.0
"""Where access units go: the monitoring system, the disk."""
