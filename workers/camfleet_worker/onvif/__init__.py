# SPDX-License-Identifier: Apache-2.0
"""Asking a camera by ONVIF: the only door to zeep, lxml and httpx."""

from camfleet_worker.onvif.resolver import OnvifResolver

__all__ = ["OnvifResolver"]
