# SPDX-License-Identifier: Apache-2.0
"""The contract of camfleet: the resources of API group camfleet.vnpt.vn as pydantic models.

Operator and worker both import this package and never each other. It imports the standard
library and pydantic only, does no I/O and reads no clock.
"""
