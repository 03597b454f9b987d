# SPDX-License-Identifier: Apache-2.0
"""Which stream a device is asked for: media services that lie, fault or are not there, recorders
with many channels, and services that the worker never uses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.camera import VideoSource
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.device_lock import CallBudget
from onvif_asking import Gate, refused, request_for, resolved, streams
from rtsp_ingest import PASSWORD, RIGHT, Ingest


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    # One test asks a recorder 32 times at once; what a device may be asked is told elsewhere.
    built = OnvifResolver(budget=CallBudget(burst=1000))
    yield built
    built.close()


async def camera_with(simulator: Simulator, *faults: str, **settings: Any) -> Camera:
    return await simulator.add(
        CameraSettings("gate", **({"password": PASSWORD} | settings), faults=faults)
    )


# Media1 and Media2


@pytest.mark.quirk(16)
async def test_a_device_with_media2_alone_streams(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(simulator, "media2-only", codec="h265")
    resolution = await resolved(camera, resolver)
    learned = resolution.learned
    assert (learned.media_version, learned.media_path) == ("2", "/onvif/media2_service")
    assert (learned.codec, learned.width, learned.height) == ("H265", 640, 360)
    assert await streams(camera, resolution, media_loop) is Codec.H265


@pytest.mark.quirk(16)
async def test_media2_is_believed_where_media1_calls_h265_h264(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(simulator, "media2-tells-the-truth", codec="h265")
    resolution = await resolved(camera, resolver)
    assert (resolution.learned.media_version, resolution.learned.codec) == ("2", "H265")
    assert await streams(camera, resolution, media_loop) is Codec.H265


@pytest.mark.quirk(16)
async def test_h265_that_is_not_allowed_is_not_taken_because_media1_calls_it_h264(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "media2-tells-the-truth", codec="h265")
    profile = {"profile_token": "Profile_1"}
    error = await refused(
        camera,
        resolver,
        source=VideoSource(**profile),
        limits=VideoLimits(codecs=[VideoCodec.H264]),
    )
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NO_ALLOWED_STREAM)
    assert "H265 640x360" in error.message


@pytest.mark.quirk(16)
@pytest.mark.parametrize("fault", ["h265-called-h264", "h265-hidden"])
async def test_with_media1_alone_the_sdp_gives_the_codec(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault, codec="h265")
    resolution = await resolved(camera, resolver, source=VideoSource(profile_token="Profile_1"))
    assert resolution.learned.media_version == "1"
    assert resolution.learned.stream_path == camera.stream_path("main")
    assert await streams(camera, resolution, media_loop) is Codec.H265


@pytest.mark.quirk(16)
async def test_h265_that_onvif_calls_h264_is_refused_by_its_sdp_where_it_is_not_allowed(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(simulator, "h265-called-h264", codec="h265")
    learned = (await resolved(camera, resolver)).learned
    assert learned.codec == "H264"
    ingest = Ingest(camera, media_loop, path=learned.stream_path, codecs=(Codec.H264,))
    error = await ingest.refused()
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NO_ALLOWED_STREAM)
    assert error.detail == "The stream offers H265 video, not H.264"
    assert camera.counters.sessions == 0


@pytest.mark.quirk(17)
@pytest.mark.parametrize("fault", ["media2-faults", "media2-not-found", "media2-empty"])
async def test_media1_is_asked_where_media2_is_promised_and_not_kept(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault)
    resolution = await resolved(camera, resolver)
    learned = resolution.learned
    assert (learned.media_version, learned.media_path) == ("1", "/onvif/media_service")
    assert await streams(camera, resolution, media_loop) is Codec.H264


# Recorders


@pytest.mark.quirk(18)
@pytest.mark.parametrize("media2", ["absent", "whole"])
async def test_every_channel_of_a_recorder_is_the_stream_it_should_be(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, media2: str
) -> None:
    camera = await camera_with(
        simulator, "recorder-16-channels", "profiles-shuffled", "odd-tokens", media2=media2
    )
    gate = Gate()
    asked = [
        resolver.resolve(
            request_for(camera, source=VideoSource(channel=channel), role=role),
            RIGHT,
            attempts=gate,
        )
        for channel in range(1, 17)
        for role in StreamRole
    ]
    found = [resolution.learned for resolution in await asyncio.gather(*asked)]
    assert [learned.stream_path for learned in found] == [
        camera.stream_path(stream, channel)
        for channel in range(1, 17)
        for stream in ("main", "sub")
    ]
    assert len({learned.profile_token for learned in found}) == 32
    assert all(len(learned.profile_token) == 64 for learned in found)
    assert len(gate.attempts) == 1
    assert camera.counters.refused() == 0
    last = await resolved(camera, resolver, source=VideoSource(channel=16))
    await streams(camera, last, media_loop)


@pytest.mark.quirk(18)
async def test_a_channel_is_found_by_the_token_of_its_video_source(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(
        simulator, "recorder-16-channels", "profiles-shuffled", "media2-only"
    )
    source = VideoSource(video_source_token="VideoSource_11")
    resolution = await resolved(camera, resolver, source=source)
    assert resolution.learned.stream_path == camera.stream_path("main", 11)


@pytest.mark.quirk(18)
async def test_a_missing_channel_is_reported_with_the_number_of_channels(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "recorder-16-channels", media2="whole")
    error = await refused(camera, resolver, source=VideoSource(channel=17))
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.CHANNEL_NOT_FOUND)
    assert error.detail == "The device has no channel 17: it has 16 channels"


# Orders that change


@pytest.mark.quirk(57)
@pytest.mark.parametrize("media2", ["absent", "whole"])
@pytest.mark.parametrize("role", list(StreamRole))
@pytest.mark.parametrize("fault", ["profiles-reshuffled", "profile-tokens-pass"])
async def test_the_order_of_profiles_decides_nothing(
    simulator: Simulator, resolver: OnvifResolver, fault: str, role: StreamRole, media2: str
) -> None:
    camera = await camera_with(simulator, fault, media2=media2)
    fresh = [(await resolved(camera, resolver, role=role)).learned for _ in range(6)]
    assert len({learned.stream_path for learned in fresh}) == 1
    assert {learned.encoder_token for learned in fresh} == {f"Encoder_1_{role.value}"}


@pytest.mark.quirk(57)
@pytest.mark.parametrize("fault", ["profiles-reshuffled", "profile-tokens-pass"])
async def test_the_stream_that_was_picked_is_picked_again_among_equals(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault)
    resolution = await resolved(camera, resolver)
    twin = resolution.learned.model_copy(
        update={"encoder_token": "Encoder_1_main_2", "profile_token": ""}
    )
    for _ in range(6):
        resolution = await resolved(camera, resolver, learned=twin)
        assert resolution.learned.stream_path == camera.stream_path() + "?twin=_2"
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(57)
async def test_channels_of_a_device_that_lists_no_sources_do_not_change_places(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "sources-not-listed")
    for channel in (1, 2, 3, 4) * 2:
        source = VideoSource(channel=channel)
        learned = (await resolved(camera, resolver, source=source)).learned
        assert learned.stream_path == camera.stream_path("main", channel)


@pytest.mark.quirk(57)
async def test_a_channel_stays_the_video_source_that_it_was(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "sources-reshuffled")
    source = VideoSource(channel=3)
    first = (await resolved(camera, resolver, source=source)).learned
    for _ in range(8):
        again = (await resolved(camera, resolver, source=source, learned=first)).learned
        assert again == first


@pytest.mark.quirk(57)
async def test_another_channel_than_before_is_another_video_source(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "recorder-16-channels")
    learned = (await resolved(camera, resolver, source=VideoSource(channel=3))).learned
    assert (learned.channel, learned.video_source_token) == (3, "VideoSource_3")
    moved = await resolved(camera, resolver, source=VideoSource(channel=5), learned=learned)
    assert moved.learned.stream_path == camera.stream_path("main", 5)


# ONVIF switched off, or with users of its own


@pytest.mark.quirk(10)
async def test_onvif_that_is_switched_off_is_distinguished_from_a_camera_that_is_away(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "onvif-closed")
    error = await refused(camera, resolver)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.ONVIF_OFF)
    assert "Switch ONVIF on" in error.message
    await camera.break_with("powered-off")
    assert (await refused(camera, resolver)).reason is Reason.CONNECTION_REFUSED


@pytest.mark.quirk(10)
async def test_an_account_that_onvif_does_not_know_is_reported_with_the_place_to_add_it(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera, gate = await camera_with(simulator, "onvif-has-other-users", "locks-after-5"), Gate()
    error = await refused(camera, resolver, gate=gate)
    assert (error.condition, error.reason) == (
        ConditionType.AUTHENTICATED,
        Reason.CREDENTIALS_REJECTED,
    )
    assert "the account among the camera's ONVIF users" in error.message
    assert len(gate.attempts) <= 2
    assert camera.counters.refused("onvif") <= 2


# Services that are not used


@pytest.mark.quirk(43)
@pytest.mark.parametrize(
    "fault",
    ["events-without-renew", "events-in-minutes", "events-few-places", "events-promised-only"],
)
async def test_a_broken_event_service_is_never_asked(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault)
    await streams(camera, await resolved(camera, resolver), media_loop)
    asked = set(camera.counters.onvif_requests)
    assert asked == {
        "GetSystemDateAndTime",
        "GetServices",
        "GetDeviceInformation",
        "GetVideoSources",
        "GetProfiles",
        "GetStreamUri",
        "GetEndpointReference",
        "GetNetworkInterfaces",
    }


@pytest.mark.quirk(44)
@pytest.mark.parametrize(
    "fault", ["snapshot-is-rtsp", "snapshot-carries-user", "snapshot-refuses-basic"]
)
async def test_no_snapshot_is_asked_for_and_no_login_goes_to_its_address(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    camera = await camera_with(simulator, fault, media2="whole")
    await streams(camera, await resolved(camera, resolver), media_loop)
    assert not [name for name in camera.counters.onvif_requests if "snapshot" in name.lower()]
    assert not [attempt for attempt in camera.counters.attempts if attempt.scheme == "basic"]
