# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of the media path: access units, audio units, sinks, and whose gap an outage is.

Imported by every floor that media passes through; it imports base and the contract alone.
"""
