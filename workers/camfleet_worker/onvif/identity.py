# SPDX-License-Identifier: Apache-2.0
"""The identity that a device claims: three operations of its device service, all dispensable.

Called by the resolver; camfleet_worker.resolve.identity judges the answers.
"""

from __future__ import annotations

from typing import Any

from camfleet_api.camera import DeviceStatus
from camfleet_api.conditions import ConditionType
from camfleet_worker.base.errors import IngestError
from camfleet_worker.onvif import wsdl
from camfleet_worker.onvif.device import OnvifDevice, field, items, text
from camfleet_worker.onvif.media1 import may_be_missing
from camfleet_worker.resolve.text import printable

MAX_STATUS_TEXT = 64
"""Limit of the fields of status.device, except the two below."""
MAX_ENDPOINT = 128
MAX_MAC = 17


async def device_information(device: OnvifDevice) -> DeviceStatus:
    """Maker, model, firmware, serial number and hardware id.

    For most cameras it is the first call that needs a login; a device without it may still stream.
    """
    try:
        result = await device.call(wsdl.DEVICE, device.path, "GetDeviceInformation")
    except IngestError as error:
        if not may_be_missing(error):
            raise
        return DeviceStatus()
    return DeviceStatus(
        manufacturer=printable(text(result, "Manufacturer"), MAX_STATUS_TEXT),
        model=printable(text(result, "Model"), MAX_STATUS_TEXT),
        firmware_version=printable(text(result, "FirmwareVersion"), MAX_STATUS_TEXT),
        serial_number=printable(text(result, "SerialNumber"), MAX_STATUS_TEXT),
        hardware_id=printable(text(result, "HardwareId"), MAX_STATUS_TEXT),
    )


async def with_hardware(
    device: OnvifDevice, identity: DeviceStatus, endpoint_hint: str = ""
) -> DeviceStatus:
    """The identity with endpoint reference and MAC address, where the device answers with them.

    They are asked last, and no stream waits for them. `endpoint_hint` is the endpoint reference in
    a probe's answer. A device that stops answering here is asked nothing more.
    """
    endpoint, mac = "", ""
    try:
        result = await _dispensable(device, "GetEndpointReference")
        endpoint = result if isinstance(result, str) else text(result, "GUID")
        mac = _first_mac(await _dispensable(device, "GetNetworkInterfaces"))
    except IngestError as error:
        if error.condition is not ConditionType.REACHABLE:
            raise
    return identity.model_copy(
        update={
            "endpoint_reference": printable(endpoint or endpoint_hint, MAX_ENDPOINT),
            "mac_address": printable(mac, MAX_MAC),
        }
    )


async def _dispensable(device: OnvifDevice, name: str) -> Any:
    """The result; None where the device does not offer the operation, or not to this account."""
    try:
        return await device.call(wsdl.DEVICE, device.path, name, dispensable=True)
    except IngestError as error:
        if error.condition is ConditionType.REACHABLE:
            raise
        return None


def _first_mac(interfaces: Any) -> str:
    """The MAC address of the first enabled interface that has one, else of the first with one."""
    found = items(interfaces)
    enabled = [one for one in found if field(one, "Enabled") is not False]
    return next((mac for one in (*enabled, *found) if (mac := text(one, "Info", "HwAddress"))), "")
