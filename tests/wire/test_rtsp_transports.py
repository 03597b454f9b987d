# SPDX-License-Identifier: Apache-2.0
"""How a stream travels: TLS with a pinned certificate, UDP where the profile allows it.

Real sockets against the replay server; each ends in the clip, or in the exact condition, reason and
message.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from camera_simulator import Simulator
from camera_simulator.certificates import fingerprint
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media.watchdog import Patience
from eventually import eventually_async
from rtsp_ingest import Ingest, camera_settings, first_error, is_the_clip, is_the_clip_with_gaps


@pytest.mark.quirk(14)
async def test_rtsps_plays_under_a_self_signed_and_expired_certificate(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(rtsp_tls=True, resolution="720p"))
    ingest = Ingest(camera, media_loop, tls=True)
    stream = await ingest.play()
    assert stream.certificate == fingerprint("gate", 1)
    await ingest.received(50)
    assert is_the_clip(ingest.units, camera)
    await ingest.stop()
    await eventually_async(lambda: camera.counters.teardowns == 1)
    assert camera.counters.sessions_lost == 0


@pytest.mark.quirk(55)
async def test_rtsps_plays_without_secure_renegotiation(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("rtsps-before-rfc5746",)))
    ingest = Ingest(camera, media_loop, tls=True, pinned=fingerprint("gate", 1))
    await ingest.play()
    await ingest.received(50)
    assert is_the_clip(ingest.units, camera)
    await ingest.stop()
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.quirk(55)
async def test_rtsps_without_secure_renegotiation_is_held_to_the_pinned_certificate(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("rtsps-before-rfc5746",)))
    ingest = Ingest(camera, media_loop, tls=True, pinned=fingerprint("gate", 2))
    assert (await ingest.refused()).reason is Reason.CERTIFICATE_CHANGED
    assert not camera.counters.rtsp_requests


@pytest.mark.quirk(14)
async def test_another_certificate_is_reported_before_anything_is_sent_to_it(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(rtsp_tls=True))
    await camera.change(rtsp_certificate=2)
    ingest = Ingest(camera, media_loop, tls=True, pinned=fingerprint("gate", 1))
    error = await ingest.refused()
    assert (error.condition, error.reason) == (
        ConditionType.REACHABLE,
        Reason.CERTIFICATE_CHANGED,
    )
    assert fingerprint("gate", 2) in error.message
    assert not camera.counters.rtsp_requests
    assert not camera.counters.attempts


@pytest.mark.quirk(14)
async def test_the_pinned_certificate_opens_the_stream(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(rtsp_tls=True))
    ingest = Ingest(camera, media_loop, tls=True, pinned=fingerprint("gate", 1).upper())
    await ingest.play()
    await ingest.received(5)


@pytest.mark.quirk(14)
async def test_a_port_without_tls_gives_tls_failed(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    error = await Ingest(camera, media_loop, tls=True).refused()
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TLS_FAILED)


@pytest.mark.quirk(32)
async def test_a_camera_that_sends_over_udp_only_plays_where_the_profile_allows_it(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-only",)))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    stream = await ingest.play()
    assert stream.transport == "udp"
    await ingest.received(60)
    assert is_the_clip(ingest.units, camera)
    await ingest.stop()
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.quirk(32)
async def test_learnt_udp_saves_the_request_for_tcp(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-only",)))
    ingest = Ingest(camera, media_loop, udp_allowed=True, udp_first=True)
    assert (await ingest.play()).transport == "udp"
    assert camera.counters.rtsp_requests["SETUP"] == 1


@pytest.mark.quirk(32)
async def test_a_camera_that_has_learnt_tcp_is_taken_by_tcp_again(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings())
    ingest = Ingest(camera, media_loop, udp_allowed=True, udp_first=True)
    assert (await ingest.play()).transport == "tcp"


@pytest.mark.quirk(32)
@pytest.mark.quirk(45)
async def test_tcp_is_taken_where_a_camera_offers_both(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(transports=("UDP", "TCP")))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    assert (await ingest.play()).transport == "tcp"


@pytest.mark.quirk(32)
async def test_udp_only_without_leave_names_the_field_that_gives_it(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-only",)))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.TRANSPORT_REFUSED)
    assert error.detail == (
        "The camera sends video over UDP only, "
        "which spec.streams.udpFallback of its technical profile does not allow"
    )


@pytest.mark.quirk(32)
@pytest.mark.parametrize("allowed", [True, False])
async def test_a_camera_that_answers_udp_to_a_question_for_tcp(
    simulator: Simulator, media_loop: MediaLoop, allowed: bool
) -> None:
    camera = await simulator.add(camera_settings(faults=("answers-tcp-with-udp",)))
    ingest = Ingest(camera, media_loop, udp_allowed=allowed)
    if allowed:
        assert (await ingest.play()).transport == "udp"
        await ingest.received(10)
    else:
        error = await ingest.refused()
        assert "udpFallback" in error.detail
        await eventually_async(lambda: camera.counters.sessions_open == 0)
        assert camera.counters.sessions_lost == 0, "its session was torn down"


@pytest.mark.quirk(32)
@pytest.mark.parametrize("patience", [Patience(no_packets_s=0.5)])
async def test_blocked_udp_is_named_when_nothing_arrives(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-blocked",)))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.NO_FRAMES)
    assert "over UDP" in error.detail
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.quirk(32)
async def test_after_a_lost_datagram_pictures_wait_for_a_key_frame_and_are_counted(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-lossy",)))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    await eventually_async(
        lambda: ingest.counters.lost_packets > 3 and len(ingest.units) > 20, within_s=30
    )
    assert is_the_clip_with_gaps(ingest.units, camera)
    assert ingest.counters.damaged_access_units + ingest.counters.skipped_access_units > 0
    assert not ingest.errors


@pytest.mark.quirk(32)
async def test_datagrams_that_overtake_each_other_are_put_in_order(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    # 720p would fill the kernel's queue while a busy machine lets nobody read for half a second.
    camera = await simulator.add(camera_settings(faults=("udp-reorders",), resolution="360p"))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    await ingest.received(50)
    assert is_the_clip(ingest.units, camera)
    assert ingest.counters.lost_packets == 0


@pytest.mark.quirk(45)
@pytest.mark.parametrize("patience", [Patience(no_key_frame_s=1.0)])
async def test_damaged_key_frames_give_no_keyframe_and_fill_no_queue(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-shallow",), resolution="720p"))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.NO_KEYFRAME)
    assert ingest.counters.lost_packets > 0
    assert not ingest.units


@pytest.mark.quirk(45)
async def test_over_tcp_the_same_key_frames_arrive_whole(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(transports=("UDP", "TCP"), udp_burst=16, resolution="720p")
    )
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    await ingest.received(30)
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(32)
async def test_a_session_over_udp_is_kept_alive_by_reports_alone(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(transports=("UDP",), keepalive=("RTCP",), session_timeout_s=2)
    )
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    await ingest.play()
    await ingest.received(100, within_s=15)
    assert camera.counters.sessions_expired == 0
    assert not ingest.errors


async def test_datagrams_from_another_address_are_not_taken(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("udp-only", "udp-blocked")))
    ingest = Ingest(camera, media_loop, udp_allowed=True)
    stream = await ingest.open()
    port = stream.socket.client_ports.rtp  # type: ignore[attr-defined]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.7", 0))
        stranger.sendto(b"\x80\x60" + bytes(20), ("127.0.0.1", port))
        await eventually_async(lambda: drained(stream.socket) == b"")
    assert stream.socket.foreign_packets == 1  # type: ignore[attr-defined]
    stream.socket.close()


def drained(media_socket: object) -> bytes:
    """What the socket gives once the stranger's packet has been looked at."""
    room = memoryview(bytearray(1 << 17))
    try:
        length = media_socket.recv_into(room)  # type: ignore[attr-defined]
    except BlockingIOError:
        return b"" if media_socket.foreign_packets else b"nothing yet"  # type: ignore[attr-defined]
    return bytes(room[:length])


async def test_the_second_address_of_a_name_is_tried_when_the_first_refuses(
    simulator: Simulator, media_loop: MediaLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = await simulator.add(camera_settings())
    loop = asyncio.get_running_loop()

    async def two_addresses(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*stream, ("127.0.0.9", port)), (*stream, ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", two_addresses)
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(3)


async def test_a_camera_at_an_ipv6_address_plays(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(host="::1"))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(3)
