# SPDX-License-Identifier: Apache-2.0
"""RTSP and SDP as cameras write them (quirk 33), and where a redirect may lead.

Real sockets against the replay server; each ends in the clip, or in the exact condition, reason and
message.
"""

from __future__ import annotations

import typing

import pytest

from camera_simulator import Simulator
from camera_simulator.settings import Dialect
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.media.loop import MediaLoop
from eventually import eventually_async
from rtsp_ingest import Ingest, camera_settings, is_the_clip


@pytest.mark.quirk(33)
@pytest.mark.quirk(51)
@pytest.mark.parametrize("dialect", typing.get_args(Dialect))
async def test_each_dialect_is_understood_from_the_first_request_to_the_last(
    simulator: Simulator, media_loop: MediaLoop, dialect: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(f"rtsp-{dialect}",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(25)
    assert is_the_clip(ingest.units, camera)
    assert ingest.counters.lost_packets == 0
    await ingest.stop()
    await eventually_async(lambda: camera.counters.teardowns == 1)
    assert camera.counters.sessions_lost == 0


@pytest.mark.quirk(51)
async def test_a_medium_that_is_skipped_is_counted_and_logged_once(
    simulator: Simulator, media_loop: MediaLoop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="camfleet_worker.base.skipped")
    counted = SKIPPED.counts[Part.SDP_MEDIUM]
    camera = await simulator.add(camera_settings(faults=("rtsp-unreadable-medium",)))
    for _ in range(2):
        (await Ingest(camera, media_loop).open()).socket.close()
    assert SKIPPED.counts[Part.SDP_MEDIUM] == counted + 2
    (line,) = caplog.records
    assert vars(line)["cause"] == "m=application/TP-LINK 0 RTP/AVP smart/1/90000"


@pytest.mark.quirk(33)
async def test_garbage_between_packets_is_counted(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("rtsp-garbage-between-packets",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(30)
    assert ingest.counters.garbage_bytes > 0


@pytest.mark.quirk(33)
async def test_several_dialects_at_once(simulator: Simulator, media_loop: MediaLoop) -> None:
    faults = ("lf-only", "lower-case", "no-cseq", "bare-sdp", "no-content-base", "star-control")
    camera = await simulator.add(camera_settings(rtsp_dialect=faults))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(10)
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(13)
async def test_a_redirect_on_the_same_camera_is_followed_and_spends_no_attempt(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("redirects-to-itself",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(5)
    assert ingest.attempts == 1
    assert camera.counters.rtsp_connects == 2


@pytest.mark.quirk(13)
async def test_a_redirect_to_another_host_is_refused_by_its_name(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("redirects-elsewhere",)))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.STREAM_REDIRECTED)
    assert error.detail == (
        "The camera redirects the stream to 192.168.1.88, which was not declared"
    )
    assert camera.counters.rtsp_connects == 1


@pytest.mark.quirk(13)
async def test_a_redirect_to_another_port_of_the_camera_is_refused_by_its_number(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("redirects-to-another-port",)))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.STREAM_REDIRECTED)
    assert error.detail == (
        "The camera redirects the stream to port 9 of the same host, which was not declared"
    )
    assert camera.counters.rtsp_connects == 1


async def test_redirects_in_a_circle_end_after_the_second(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(redirect_to="{here}/live/main"))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.STREAM_REFUSED)
    assert error.detail == "The camera redirects the stream again and again"
    assert camera.counters.rtsp_connects == 3
