# SPDX-License-Identifier: Apache-2.0
"""Audio at the monitoring system: every unit of the camera's, beside every picture.

The replay camera's tone has no two units alike, and GStreamer's server takes the packets apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from access_units import access_units
from camera_simulator import Simulator
from camera_simulator.clips import Clip
from camera_simulator.footage import prepared_clip
from camera_simulator.rtsp.audio import audio_track
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import AccessUnit, Codec
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import StreamNames, relay_target
from eventually import eventually_async
from media_pump import MediaPump
from rtsp_ingest import Ingest, camera_settings
from vms import RecordServer
from worker_parts import PASSWORD as WORKER_PASSWORD
from worker_parts import CameraObjects, SecretObjects, WorkerParts, entry, policy_to

PATH = "/live/gate"
TOGETHER_S = 0.5
"""How far the first audio and the first picture may lie apart: both are of the same tick."""


@pytest.fixture
async def relay_and_vms() -> AsyncIterator[tuple[RtspRelay, RecordServer]]:
    resolver = Resolver()
    with RecordServer() as vms:
        names = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")
        target = relay_target(RelayProtocol.RTSP, vms.url(PATH), names, list(Codec))
        yield RtspRelay("vms", target, resolver, jitter=lambda: 0.05), vms
    resolver.close()


def in_order(hashes: list[str], tone: list[str]) -> bool:
    begin = tone.index(hashes[0])
    return hashes == [tone[(begin + number) % len(tone)] for number in range(len(hashes))]


@pytest.mark.parametrize("audio", ["aac", "pcmu", "pcma", "opus"])
async def test_every_audio_unit_arrives_in_order_and_beside_its_picture(
    audio: str,
    simulator: Simulator,
    media_loop: MediaLoop,
    relay_and_vms: tuple[RtspRelay, RecordServer],
) -> None:
    relay, vms = relay_and_vms
    camera = await simulator.add(camera_settings(audio=audio))
    ingest = Ingest(camera, media_loop, audio=True)
    ingest.add_sinks(relay)
    await ingest.play()
    await eventually_async(lambda: len(vms.audio_units(PATH)) > 60, within_s=20)
    heard = vms.audio_units(PATH)
    heard = [unit for unit in heard if unit.publisher == heard[-1].publisher]
    track = audio_track(camera.settings.audio, camera.settings.audio_packing)
    tone = [hashlib.sha256(unit).hexdigest() for unit in track.units]
    assert in_order([unit.sha256 for unit in heard], tone)
    unit_s = track.unit_ticks / track.clock_hz
    assert all(abs(b.pts_s - a.pts_s - unit_s) < 0.002 for a, b in pairwise(heard))
    seen = [frame for frame in vms.frames(PATH) if frame.publisher == heard[0].publisher]
    assert abs(heard[0].pts_s - seen[0].pts_s) < TOGETHER_S
    assert all(b.pts_s > a.pts_s for a, b in pairwise(seen))
    assert relay.state.phase is SinkPhase.WORKING
    assert relay.counters.dropped_access_units == 0
    await ingest.stop()


def falling_silent(relay: RtspRelay, clip: Clip, after: int) -> Iterator[AccessUnit]:
    """The clip, with an audio unit behind each of its first pictures."""
    pcmu = AudioFormat(AudioCodec.PCMU, 8_000, 1)
    for number, unit in enumerate(access_units(clip)):
        yield unit
        if number < after:
            relay.push_audio(AudioUnit(bytes(320), unit.pts_90k, unit.arrived_at, pcmu))


async def test_audio_that_falls_silent_holds_back_no_picture(
    relay_and_vms: tuple[RtspRelay, RecordServer],
) -> None:
    relay, vms = relay_and_vms
    clip = prepared_clip("240p-h264")
    with MediaPump(falling_silent(relay, clip, after=60), relay) as pump:
        await eventually_async(lambda: len(pump.pushed) > 250, within_s=20)
        pump.stop_feeding()
        last = clip.frame_hashes[(len(pump.pushed) - 1) % len(clip.frame_hashes)]
        await eventually_async(lambda: vms.frames(PATH)[-1].sha256 == last, within_s=5)
    frames = vms.frames(PATH)
    assert in_order([frame.sha256 for frame in frames], list(clip.frame_hashes))
    assert len(frames) == relay.counters.access_units
    assert len(vms.audio_units(PATH)) == relay.counters.audio_units > 0


async def test_audio_that_the_policy_asks_for_reaches_the_monitoring_system(
    simulator: Simulator, tmp_path: Path
) -> None:
    camera = await simulator.add(camera_settings(password=WORKER_PASSWORD, audio="pcmu"))
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username="ingest", password=WORKER_PASSWORD)
    with RecordServer() as vms:
        async with WorkerParts(tmp_path, objects, secrets) as worker:
            policy = policy_to(vms).model_copy(update={"audio": True})
            await worker.run(policy, entry(objects, camera))
            path = f"/live/{camera.name}"
            await eventually_async(lambda: len(vms.audio_units(path)) > 20, within_s=30)
            await eventually_async(lambda: objects.ready(camera.name)[0] == "True", within_s=30)
            frames = vms.frames(path)
            assert all(b.pts_s > a.pts_s for a, b in pairwise(frames) if a.publisher == b.publisher)
