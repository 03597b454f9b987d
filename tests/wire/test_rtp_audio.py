# SPDX-License-Identifier: Apache-2.0
"""Audio beside the video: every unit that the camera sends, in its place, or the video alone.

Real sockets against the replay server, whose tone has no two units alike: what is received is held
to the exact sequence.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from camera_simulator import Camera, Simulator
from camera_simulator.rtsp.audio import AudioTrack, audio_track
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media.watchdog import Patience
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.rtsp.handshake import DEFAULT_TIMINGS, HandshakeTimings
from camfleet_worker.rtsp.headers import InterleavedIds
from eventually import eventually_async
from rtsp_ingest import Ingest, camera_settings, first_error, is_the_clip
from worker_parts import PASSWORD as WORKER_PASSWORD
from worker_parts import CameraObjects, SecretObjects, WorkerParts, entry, policy_to

AAC_16K = bytes.fromhex("140856e500")
"""AAC LC, 16,000 Hz, one channel, and the encoder's note that there is no SBR."""
TOGETHER_S = 0.5
"""How far audio and picture may lie apart; both are read in the same tick."""

ALL = [
    pytest.param("pcmu", "single", AudioFormat(AudioCodec.PCMU, 8000, 1), id="pcmu"),
    pytest.param("pcma", "single", AudioFormat(AudioCodec.PCMA, 8000, 1), id="pcma"),
    pytest.param("opus", "single", AudioFormat(AudioCodec.OPUS, 48_000, 2), id="opus"),
    *(
        pytest.param("aac", packing, AudioFormat(AudioCodec.AAC, 16_000, 1, AAC_16K), id=packing)
        for packing in ("single", "aggregated", "fragmented", "adts")
    ),
]


def track_of(camera: Camera) -> AudioTrack:
    settings = camera.settings
    return audio_track(settings.audio, settings.audio_packing)


def places(audio: list[AudioUnit], track: AudioTrack) -> list[int]:
    """Where in the tone each unit stands."""
    index = {unit: place for place, unit in enumerate(track.units)}
    return [index[unit.data] for unit in audio]


async def heard(ingest: Ingest, seconds: float, within_s: float = 20.0) -> None:
    """Wait for so much audio."""
    track = track_of(ingest.camera)
    wanted = seconds * track.clock_hz / track.unit_ticks
    await eventually_async(lambda: len(ingest.audio) >= wanted or ingest.errors, within_s=within_s)
    assert not ingest.errors, ingest.errors


@pytest.mark.quirk(52)
@pytest.mark.parametrize(("audio", "packing", "audio_format"), ALL)
async def test_every_audio_unit_arrives_in_order_beside_the_video(
    simulator: Simulator,
    media_loop: MediaLoop,
    audio: str,
    packing: str,
    audio_format: AudioFormat,
) -> None:
    camera = await simulator.add(camera_settings(audio=audio, audio_packing=packing))
    ingest = Ingest(camera, media_loop, audio=True)
    stream = await ingest.play()
    assert stream.audio is not None
    assert (stream.audio.ids, stream.silence) == (InterleavedIds(2, 3), "")
    await heard(ingest, seconds=2.5)
    track = track_of(camera)
    found = places(ingest.audio, track)
    assert all(b == (a + 1) % len(track.units) for a, b in itertools.pairwise(found))
    assert {unit.format for unit in ingest.audio} == {audio_format}
    assert is_the_clip(ingest.units, camera)
    counters = ingest.counters
    assert (counters.lost_audio_packets, counters.damaged_audio_units) == (0, 0)
    assert counters.lost_packets == 0
    await ingest.stop()
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.parametrize(("audio", "packing", "audio_format"), ALL)
async def test_times_of_audio_rise_and_lie_with_the_video(
    simulator: Simulator,
    media_loop: MediaLoop,
    audio: str,
    packing: str,
    audio_format: AudioFormat,
) -> None:
    camera = await simulator.add(camera_settings(audio=audio, audio_packing=packing))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await heard(ingest, seconds=1.5)
    track, times = track_of(camera), [unit.pts_90k for unit in ingest.audio]
    assert all(a < b for a, b in itertools.pairwise(times))
    # Both began at PLAY: what a unit's place says of its time, and a picture's number of its own.
    began = times[0] / 90_000 - places(ingest.audio, track)[0] * track.unit_ticks / track.clock_hz
    assert abs(began - ingest.units[0].pts_90k / 90_000) < TOGETHER_S
    spent = (times[-1] - times[0]) * track.clock_hz / 90_000 / track.unit_ticks
    assert spent == pytest.approx(len(times) - 1, abs=1)


@pytest.mark.parametrize(("audio", "packing", "audio_format"), ALL)
async def test_audio_that_gstreamer_has_packed_comes_out_as_it_went_in(
    simulator: Simulator,
    media_loop: MediaLoop,
    audio: str,
    packing: str,
    audio_format: AudioFormat,
) -> None:
    camera = await simulator.add(
        camera_settings(server="gstreamer", password="plain", audio=audio, audio_packing=packing)
    )
    ingest = Ingest(camera, media_loop, Credentials("ingest", "plain", "1"), audio=True)
    stream = await ingest.play()
    assert stream.audio is not None, stream.silence
    await eventually_async(lambda: len(ingest.audio) > 30 or ingest.errors, within_s=20)
    assert not ingest.errors, ingest.errors
    # GStreamer gathers samples of G.711 as it likes: of these only the octets are the tone's.
    whole = b"".join(audio_track(camera.settings.audio).units) * 3
    assert b"".join(unit.data for unit in ingest.audio) in whole
    if audio in ("aac", "opus"):
        assert places(ingest.audio, track_of(camera))
    assert {unit.format for unit in ingest.audio} == {audio_format}
    assert ingest.counters.damaged_audio_units == 0
    times = [unit.pts_90k for unit in ingest.audio]
    assert all(a < b for a, b in itertools.pairwise(times))


async def test_audio_comes_over_tls_too(simulator: Simulator, media_loop: MediaLoop) -> None:
    camera = await simulator.add(camera_settings(audio="opus", rtsp_tls=True))
    ingest = Ingest(camera, media_loop, audio=True, tls=True)
    await ingest.play()
    await heard(ingest, seconds=1)
    assert places(ingest.audio, track_of(camera))
    assert ingest.counters.lost_audio_packets == 0


async def test_no_audio_is_asked_for_where_the_policy_wants_none(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="aac"))
    ingest = Ingest(camera, media_loop)
    assert (await ingest.play()).audio is None
    await ingest.received(10)
    assert camera.counters.rtsp_requests["SETUP"] == 1
    assert not ingest.audio


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"audio": "none"}, "none is offered that we take"),
        ({"audio": "latm"}, "none is offered that we take"),
        ({"audio": "aac", "audio_is_back_channel": True}, "none is offered that we take"),
        ({"audio": "aac", "audio_setup": "unsupported"}, "SETUP with 461"),
        ({"audio": "aac", "audio_setup": "refused"}, "SETUP with 403"),
        ({"audio": "aac", "audio_setup": "closes"}, "asking for it ends the conversation"),
        ({"audio": "aac", "audio_setup": "hangs"}, "asking for it ends the conversation"),
        ({"audio": "aac", "audio_setup": "play-fails"}, "PLAY with 500"),
    ],
    ids=["none", "latm", "back-channel", "unsupported", "refused", "closes", "hangs", "play-fails"],
)
async def test_a_camera_whose_audio_cannot_be_had_streams_its_video(
    simulator: Simulator,
    media_loop: MediaLoop,
    changes: dict[str, object],
    why: str,
) -> None:
    impatient = HandshakeTimings(audio_patience_s=0.3)
    timings = impatient if changes.get("audio_setup") == "hangs" else DEFAULT_TIMINGS
    camera = await simulator.add(camera_settings(max_sessions=1, **changes))
    ingest = Ingest(camera, media_loop, timings=timings, audio=True)
    stream = await ingest.play()
    assert stream.audio is None
    assert why in stream.silence
    await ingest.received(30)
    assert is_the_clip(ingest.units, camera)
    assert not ingest.audio
    assert ingest.attempts == 1, "the login was proven before"


async def test_over_udp_the_video_comes_without_audio(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="aac", transports=("UDP",)))
    ingest = Ingest(camera, media_loop, audio=True, udp_allowed=True)
    stream = await ingest.play()
    assert (stream.transport, stream.silence) == ("udp", "it is sent over UDP")
    await ingest.received(10)


@pytest.mark.parametrize("packing", ["single", "aggregated", "fragmented"])
async def test_lost_packets_of_audio_are_counted_and_cost_no_picture(
    simulator: Simulator, media_loop: MediaLoop, packing: str
) -> None:
    camera = await simulator.add(camera_settings(audio="aac", audio_packing=packing, audio_loss=5))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await eventually_async(lambda: ingest.counters.lost_audio_packets >= 3, within_s=20)
    track = track_of(camera)
    ahead = [(b - a) % len(track.units) for a, b in itertools.pairwise(places(ingest.audio, track))]
    assert 0 not in ahead
    assert max(ahead) > 1, "a gap, and whole units around it"
    assert (ingest.counters.damaged_audio_units > 0) == (packing == "fragmented")
    assert ingest.counters.lost_packets == 0
    assert is_the_clip(ingest.units, camera)


async def test_packets_of_audio_that_make_no_sense_are_dropped_and_counted(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="aac", audio_packing="hostile"))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await heard(ingest, seconds=2)
    track = track_of(camera)
    found = places(ingest.audio, track)
    assert all(b == (a + 1) % len(track.units) for a, b in itertools.pairwise(found))
    assert ingest.counters.damaged_audio_units >= len(found) // 3
    assert ingest.counters.lost_audio_packets == 0
    assert is_the_clip(ingest.units, camera)


async def test_audio_on_the_channel_of_the_video_is_told_by_its_payload_type(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="pcma", audio_setup="on-video-channel"))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await heard(ingest, seconds=1)
    assert places(ingest.audio, track_of(camera))
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(33)
async def test_octets_between_packets_cost_no_audio(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(audio="pcmu", rtsp_dialect=("garbage-between-packets",))
    )
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await eventually_async(lambda: ingest.counters.garbage_bytes > 20, within_s=20)
    await heard(ingest, seconds=1)
    assert ingest.counters.lost_audio_packets == 0
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_packets_s=0.5)])
async def test_audio_that_was_set_up_without_video_gives_audio_only(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="pcma", media="audio-without-picture"))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.AUDIO_ONLY)
    assert not ingest.audio, "a sink first sees a key frame"


async def test_times_of_audio_go_on_rising_after_a_reconnect(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(audio="opus"))
    ingest = Ingest(camera, media_loop, audio=True)
    await ingest.play()
    await heard(ingest, seconds=0.5)
    await ingest.stop()
    before, pictures = len(ingest.audio), len(ingest.units)
    await ingest.play()
    await eventually_async(lambda: len(ingest.audio) > before + 20, within_s=20)
    times = [unit.pts_90k for unit in ingest.audio]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert abs(times[before] - ingest.units[pictures].pts_90k) < TOGETHER_S * 90_000


async def test_a_policy_that_begins_to_want_audio_opens_a_session_with_it(
    simulator: Simulator, tmp_path: Path
) -> None:
    camera = await simulator.add(camera_settings(password=WORKER_PASSWORD, audio="aac"))
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username="ingest", password=WORKER_PASSWORD)
    async with WorkerParts(tmp_path, objects, secrets) as worker:
        one = entry(objects, camera)
        await worker.run(policy_to(None), one)
        await eventually_async(lambda: objects.ready(camera.name)[0] == "True", within_s=30)
        assert camera.counters.rtsp_requests["SETUP"] == 1
        await worker.run(policy_to(None).model_copy(update={"audio": True}), one)

        def units() -> int:
            return sum(each.received.audio_units for each in worker.fleet.supervisors)

        await eventually_async(lambda: units() > 10, within_s=30)
        await eventually_async(lambda: objects.ready(camera.name)[0] == "True", within_s=30)
        assert camera.counters.rtsp_requests["SETUP"] == 3
