# SPDX-License-Identifier: Apache-2.0
"""What every floor of the worker stands on: clocks, errors, waits.

It imports nothing else of the worker.
"""
