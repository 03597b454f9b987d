# SPDX-License-Identifier: Apache-2.0
"""The truth about gaps: when a camera arrived, was relayed and was on disk, and why when not."""
