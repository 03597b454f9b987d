# SPDX-License-Identifier: Apache-2.0
"""Asks cameras by ONVIF; the only package that imports zeep, lxml and httpx."""

from camfleet_worker.onvif.resolver import OnvifResolver

__all__ = ["OnvifResolver"]
