# SPDX-License-Identifier: Apache-2.0
"""The token bucket of both processes, for `onvif.device_lock`, which still imports it from here."""

from __future__ import annotations

from camfleet_base.token_bucket import TokenBucket as TokenBucket
