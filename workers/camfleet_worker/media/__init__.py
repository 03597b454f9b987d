# SPDX-License-Identifier: Apache-2.0
"""The media path of the worker: access units, the loop that drains sockets, the timeline."""
