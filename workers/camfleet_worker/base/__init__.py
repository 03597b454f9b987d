# SPDX-License-Identifier: Apache-2.0
"""The modules that every package of the worker may use: clocks, errors, waits.

It imports nothing else of the worker.
"""
