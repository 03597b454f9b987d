# SPDX-License-Identifier: Apache-2.0
"""The event service (ONVIF Core section 9), as far as cameras get it wrong.

Called by device.py after authentication. A subscriber finds here what home automation fights with:
no Renew, times in other units, too few places, a capability that is not there.
"""

from __future__ import annotations

from collections.abc import Callable

from camera_simulator.counters import Counters
from camera_simulator.onvif import soap
from camera_simulator.onvif.place import EVENTS_PATH, Place
from camera_simulator.settings import CameraSettings

SUBSCRIPTION_PLACES = 1
"""Of a camera that has few; makers' default is eight."""

SUBSCRIBING = ("CreatePullPointSubscription", "Subscribe")


def answer(
    call: soap.Call, settings: CameraSettings, place: Place, counters: Counters
) -> str | None:
    """The response element of one operation; None when this camera does not know it."""
    if settings.events == "promised":
        return None  # GetServices names the service, and nothing stands behind it
    if call.operation == "Renew" and settings.events == "no-renew":
        return None
    taken = sum(counters.onvif_requests[name] for name in SUBSCRIBING)
    if call.operation in SUBSCRIBING and settings.events == "few" and taken > SUBSCRIPTION_PLACES:
        return None
    operation = _OPERATIONS.get(call.operation)
    return operation(settings, place) if operation else None


def _create_pull_point(settings: CameraSettings, place: Place) -> str:
    # "PT60S" was asked for: some firmware counts minutes, and ends the subscription at once.
    until = "PT1S" if settings.events == "minutes" else "PT60S"
    return (
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
        f"<wsa:Address>{place.web(EVENTS_PATH)}</wsa:Address></tev:SubscriptionReference>"
        f"<wsnt:TerminationTime>{until}</wsnt:TerminationTime>"
        "</tev:CreatePullPointSubscriptionResponse>"
    )


def _pull_messages(settings: CameraSettings, place: Place) -> str:
    return "<tev:PullMessagesResponse/>"


def _renew(settings: CameraSettings, place: Place) -> str:
    return "<wsnt:RenewResponse/>"


_OPERATIONS: dict[str, Callable[[CameraSettings, Place], str]] = {
    "CreatePullPointSubscription": _create_pull_point,
    "PullMessages": _pull_messages,
    "Renew": _renew,
}
