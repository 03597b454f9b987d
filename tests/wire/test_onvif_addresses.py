# SPDX-License-Identifier: Apache-2.0
"""Addresses that cameras name wrongly, services at other paths, and devices that are not who they
were: what is asked is always the declared host and port."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import DeviceStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.transport import Deadlines
from camfleet_worker.resolve.identity import Likeness, judge, shared
from onvif_asking import Gate, addresses_used, refused, request_for, resolved, streams
from rtsp_ingest import PASSWORD, RIGHT

HOST = "127.0.0.2"
"""Of the cameras here, so that 127.0.0.1 is a wrong address for them."""


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    built = OnvifResolver(deadlines=Deadlines(connect_s=1.0, call_s=3.0))
    yield built
    built.close()


async def camera_with(simulator: Simulator, *faults: str, **settings: Any) -> Camera:
    fields = {"name": "gate", "host": HOST, "password": PASSWORD} | settings
    return await simulator.add(CameraSettings(**fields, faults=faults))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=pytest.mark.quirk(number))
        for number, fault in [
            (12, "xaddr-lan-address"),
            (12, "xaddr-loopback"),
            (12, "xaddr-factory-address"),
            (12, "xaddr-wrong-port"),
            (12, "xaddr-ipv6"),
            (12, "xaddr-without-scheme"),
            (12, "xaddr-with-credentials"),
            (13, "stream-uri-loopback"),
            (13, "stream-uri-inner-address"),
            (13, "stream-uri-ipv6"),
        ]
    ],
)
@pytest.mark.quirk(12)
@pytest.mark.quirk(13)
async def test_of_an_address_that_a_camera_names_only_the_path_is_used(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault, media2="whole")
    with addresses_used() as used:
        resolution = await resolved(camera, resolver)
        await streams(camera, resolution, media_loop)
    assert resolution.learned.stream_path == "/live/main"
    assert resolution.learned.media_path == "/onvif/media2_service"
    assert used == {(HOST, camera.onvif_port), (HOST, camera.rtsp_port)}


@pytest.mark.quirk(12)
async def test_a_port_map_leads_to_the_camera_whatever_ports_it_names(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(
        simulator, advertised_host="192.168.1.88", advertised_port=80, stream_port=554
    )
    assert camera.onvif_port not in (80, 554)
    with addresses_used() as used:
        await resolved(camera, resolver)
    assert used == {(HOST, camera.onvif_port), (HOST, camera.rtsp_port)}


@pytest.mark.quirk(13)
async def test_a_closed_rtsp_port_is_reported_with_the_port_that_the_camera_names(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, stream_port=8554)
    error = await refused(camera, resolver, rtsp_port=1)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.RTSP_OFF)
    assert "the camera itself names port 8554" in error.message


# Services at other paths


@pytest.mark.quirk(15)
@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("device-at-services", "/onvif/services"),
        ("device-at-services-400", "/onvif/services"),
        ("device-named-by-services", ""),
    ],
)
async def test_a_device_service_at_another_path_is_found(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str, path: str
) -> None:
    camera = await camera_with(simulator, fault)
    resolution = await resolved(camera, resolver)
    assert resolution.device.serial_number == camera.settings.serial_number
    if path:
        assert resolution.learned.device_path == path
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(15)
async def test_a_path_that_was_learnt_is_asked_first_and_given_up_when_it_is_gone(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "device-at-services")
    learned = (await resolved(camera, resolver)).learned
    before = camera.counters.onvif_connects
    again = (await resolved(camera, resolver, learned=learned)).learned
    straight = camera.counters.onvif_connects - before
    assert again.device_path == "/onvif/services"

    await camera.break_with()
    moved_back = (await resolved(camera, resolver, learned=learned)).learned
    assert moved_back.device_path == ""
    # The first resolve asked at the declared path too.
    assert before == straight + 1


@pytest.mark.quirk(15)
@pytest.mark.parametrize("fault", ["web-page-not-onvif", "web-not-found"])
async def test_a_web_page_is_reported_as_no_onvif_camera_without_delay(
    simulator: Simulator, resolver: OnvifResolver, fault: str
) -> None:
    camera = await camera_with(simulator, fault)
    began = time.monotonic()
    error = await refused(camera, resolver)
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NOT_ONVIF)
    assert time.monotonic() - began < 5
    assert not camera.counters.attempts
    assert camera.counters.onvif_connects <= 6


# Who answers


async def identity_of(camera: Camera, resolver: OnvifResolver) -> DeviceStatus:
    return (await resolved(camera, resolver)).device


async def test_the_device_information_is_read(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator)
    device = (await resolved(camera, resolver)).device
    assert device.serial_number == camera.settings.serial_number
    assert device.endpoint_reference == camera.settings.endpoint
    assert device.mac_address == camera.settings.mac_address


@pytest.mark.quirk(23)
@pytest.mark.parametrize("fault", ["hardware-not-told", "hardware-refused"])
@pytest.mark.parametrize("scheme", ["digest", "wsse"])
async def test_a_device_without_device_information_costs_no_attempt_and_streams(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str, scheme: str
) -> None:
    camera, gate = await camera_with(simulator, fault, onvif_schemes=(scheme,)), Gate()
    resolution = await resolver.resolve(request_for(camera), RIGHT, attempts=gate)
    assert len(gate.attempts) == 1
    assert gate.refusals == []
    assert camera.counters.refused() == 0
    assert resolution.device.serial_number == camera.settings.serial_number
    assert resolution.device.mac_address == ""
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(23)
async def test_ten_clones_all_stream_and_are_one_group(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    clones = [await camera_with(simulator, "identity-cloned", name=f"c{n}") for n in range(10)]
    honest = await camera_with(simulator, name="honest")
    told = {}
    for camera in (*clones, honest):
        resolution = await resolved(camera, resolver)
        told[f"{camera.host}:{camera.onvif_port}"] = resolution.device
    await streams(clones[9], resolution, media_loop)
    groups = shared(told)
    assert [set(group.devices) for group in groups] == [
        {f"{camera.host}:{camera.onvif_port}" for camera in clones}
    ]
    assert (
        groups[0].detail_for(groups[0].devices[0]).startswith("Serial number SN20190101AA is the")
    )


@pytest.mark.quirk(23)
@pytest.mark.parametrize("fault", ["identity-zero", "serial-scrambled", "first-interface-common"])
async def test_worthless_identities_raise_no_alarm(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    cameras = [await camera_with(simulator, fault, name=name) for name in ("one", "other")]
    told = {camera.name: (await resolved(camera, resolver)).device for camera in cameras}
    assert shared(told) == ()
    before = told["one"]
    await cameras[0].change(firmware="9.9.9")
    now = await identity_of(cameras[0], resolver)
    assert now.firmware_version == "9.9.9"
    assert not judge(before, now).changed
    await streams(cameras[0], await resolved(cameras[0], resolver), media_loop)


@pytest.mark.quirk(24)
async def test_another_device_at_the_address_is_reported_until_it_is_declared(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator)
    before = await identity_of(camera, resolver)
    await camera.break_with("another-device")
    now = await identity_of(camera, resolver)
    verdict = judge(before, now)
    assert verdict.changed
    assert camera.settings.serial_number in verdict.detail
    assert "OTHER-77A1" in verdict.detail
    assert judge(before, now, declared_serial="OTHER-77A1").likeness is Likeness.SAME


@pytest.mark.quirk(24)
async def test_an_address_without_a_device_is_unreachable(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator)
    await identity_of(camera, resolver)
    await camera.power(False)
    error = await refused(camera, resolver)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.CONNECTION_REFUSED)
