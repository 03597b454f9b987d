# SPDX-License-Identifier: Apache-2.0
"""The watch on the picture with real footage: decoders, threads and HTTP are real, time is not."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus

import av
import httpx
import numpy as np
import pytest

from access_units import access_units
from camera_simulator.footage import prepared_clip
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.camera.sink_set import MadeSink, SinkSet
from camfleet_worker.endpoints.http_server import HttpServer
from camfleet_worker.endpoints.local_endpoint import LOOPBACK, Loopback
from camfleet_worker.endpoints.snapshots import snapshot_page
from camfleet_worker.media_types.access_unit import AccessUnit
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.picture.decoder import KeyFrameDecoder, NotDecodable, Result
from camfleet_worker.picture.pool import OnResult, PicturePool
from camfleet_worker.picture.sink import PictureSink
from eventually import eventually
from picture_faults import FAULTS, FPS, Scene, access_units_of, darkened, with_fault
from picture_watch import ImmediateAnalyser, WatchedCamera

BASE = Scene(width=480, height=272, kbps=450)
BEGINS_FRAME = 53
"""In the middle of a GOP."""
FAULTY_S = 42
WITHIN_S = 30.0
LIGHTS: dict[str, Callable[[Scene], Scene]] = {"day": lambda scene: scene, "darkened": darkened}


@pytest.fixture(scope="module", params=list(LIGHTS))
def light(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def clean(light: str) -> list[AccessUnit]:
    """All of the footage at its own pace."""
    return access_units_of(LIGHTS[light](BASE), 78)


def test_clean_footage_raises_nothing_and_is_known_to_be_healthy(clean: list[AccessUnit]) -> None:
    camera = WatchedCamera()
    for _ in range(6):
        camera.play(clean)
    assert camera.told == []
    assert camera.sink.state.phase is SinkPhase.WORKING


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_stated_within_half_a_minute_and_withdrawn_when_it_is_over(
    light: str, clean: list[AccessUnit], fault: str
) -> None:
    camera = WatchedCamera()
    camera.play(clean)
    began = camera.now + BEGINS_FRAME / FPS
    scene = with_fault(replace(BASE, since=BEGINS_FRAME, seed=2), fault)
    camera.play(access_units_of(LIGHTS[light](scene), FAULTY_S))
    ((told_at, reason),) = camera.told
    # What shuts out the little light that there was leaves black.
    dark = {Reason.BLACK} if light == "darkened" and fault == "Covered" else set()
    assert reason in {Reason(fault)} | dark
    assert began < told_at <= began + WITHIN_S
    over = camera.now
    camera.play(clean)
    assert [reason for _, reason in camera.told] == [reason, None]
    assert camera.told[-1][0] <= over + WITHIN_S


def test_a_corridor_without_movement_is_not_frozen(light: str) -> None:
    camera = WatchedCamera()
    still = access_units_of(LIGHTS[light](replace(BASE, still=True, first_frame=40)), 40)
    for _ in range(5):
        camera.play(still)
    assert camera.told == []
    assert camera.sink.state.phase is SinkPhase.WORKING


# Decoding.


@pytest.mark.parametrize("name", ["240p-h264", "240p-h265", "360p-h264", "720p-h264", "720p-h265"])
def test_key_frames_of_every_codec_and_size_come_out_of_one_decoder_in_turn(name: str) -> None:
    decoder, other = KeyFrameDecoder(), prepared_clip("240p-h264-b")
    for clip in (prepared_clip(name), other, prepared_clip(name)):
        look = decoder.decode(next(access_units(clip)))
        assert look.features.spread > 20
        with av.open(io.BytesIO(look.jpeg), "r") as jpeg:
            picture = next(jpeg.decode(video=0)).to_ndarray(format="gray")
        assert picture.shape == ((clip.height, clip.width) if clip.width <= 640 else (360, 640)), (
            "a snapshot is bounded"
        )
        assert abs(float(picture.mean()) - look.features.mean) < 15


@pytest.mark.parametrize("name", ["240p-h264", "240p-h265"])
def test_garbage_is_refused_and_the_next_picture_is_as_good_as_ever(name: str) -> None:
    decoder, chance = KeyFrameDecoder(), np.random.default_rng(1)
    good = next(access_units(prepared_clip(name)))
    expected = decoder.decode(good).features.mean
    for length in (0, 3, 8, 100, 5000):
        octets = chance.integers(0, 256, length, dtype=np.uint8).tobytes()
        for data in (octets, length.to_bytes(4, "big") + octets):
            with pytest.raises(NotDecodable):
                decoder.decode(replace(good, data=data))
            assert decoder.decode(good).features.mean == expected
        # H.265 does not notice every slice that goes on with nonsense: refused or not.
        with suppress(NotDecodable):
            decoder.decode(replace(good, data=good.data[:length] + octets))
        assert decoder.decode(good).features.mean == expected


# The pool.


@dataclass
class Seen:
    """What a pool has told."""

    looks: list[Result | None]

    def __call__(self, look: Result | None) -> None:
        self.looks.append(look)


def test_a_busy_pool_skips_and_counts_and_never_waits() -> None:
    pool, unit = PicturePool(threads=1, waiting=2), next(access_units(prepared_clip("240p-h264")))
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: Result | None) -> None:
        entered.set()
        go_on.wait()

    seen = Seen([])
    pool.start()
    try:
        assert pool.submit(unit, hold)
        assert entered.wait(10)
        assert [pool.submit(unit, seen) for _ in range(5)] == [True, True, False, False, False]
        assert pool.counters.skipped == 3
    finally:
        go_on.set()
    eventually(lambda: len(seen.looks) == 2, within_s=10)
    pool.close(5)
    assert pool.counters.decoded == 3


def test_a_sink_whose_pool_is_busy_asks_again_with_the_next_key_frame() -> None:
    class Busy:
        asked = 0

        def submit(self, unit: AccessUnit, on_result: OnResult) -> bool:
            self.asked += 1
            return False

    busy = Busy()
    sink = PictureSink(busy)
    for unit, _ in zip(access_units(prepared_clip("240p-h264")), range(75), strict=False):
        sink.push(unit)
    assert busy.asked == 3 == sink.counters.dropped_access_units


def test_an_undecodable_key_frame_is_counted_and_a_bug_ends_no_thread() -> None:
    pool, unit = PicturePool(threads=1), next(access_units(prepared_clip("240p-h264")))

    def bug(_: Result | None) -> None:
        raise RuntimeError("ours")

    seen = Seen([])
    pool.start()
    pool.submit(unit, bug)
    pool.submit(replace(unit, data=b"\0\0\0\1\xff"), seen)
    pool.submit(unit, seen)
    eventually(lambda: len(seen.looks) == 2, within_s=10)
    pool.close(5)
    assert [look is None for look in seen.looks] == [True, False]
    assert (pool.counters.decoded, pool.counters.errors, pool.counters.faults) == (2, 1, 1)


def test_the_caller_gets_none_for_a_picture_that_a_bug_lost() -> None:
    pool, unit = PicturePool(threads=1), next(access_units(prepared_clip("240p-h264")))
    broken = replace(unit, format=replace(unit.format, parameter_sets=(None,)))  # type: ignore[arg-type]
    seen = Seen([])
    pool.start()
    pool.submit(broken, seen)
    pool.submit(unit, seen)
    eventually(lambda: len(seen.looks) == 2, within_s=10)
    pool.close(5)
    assert [look is None for look in seen.looks] == [True, False]
    assert pool.counters.faults == 1


# Snapshots.


@dataclass
class Named:
    name: str


@dataclass
class Assigned:
    camera: Named


@dataclass
class Watched:
    assignment: Assigned
    sinks: SinkSet


@dataclass
class Cameras:
    supervisors: list[Watched]


async def test_the_last_picture_is_served_and_nothing_else() -> None:
    sink = PictureSink(ImmediateAnalyser())
    unit = replace(next(access_units(prepared_clip("240p-h264"))), arrived_at=1_780_000_000.6)
    sink.push(unit)
    assert sink.snapshot is not None
    made = SinkSet((MadeSink("", sink),))
    cameras = Cameras(
        [Watched(Assigned(Named("gate")), made), Watched(Assigned(Named("new")), SinkSet())]
    )
    server = HttpServer(Loopback(lambda path: snapshot_page(cameras, path), {}).answer)  # type: ignore[arg-type]
    port = await server.start(LOOPBACK, 0)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        answer = await client.get("/snapshot/gate")
        assert (answer.status_code, answer.headers["content-type"]) == (HTTPStatus.OK, "image/jpeg")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content == sink.snapshot.jpeg
        assert answer.headers["last-modified"] == "Thu, 28 May 2026 20:26:40 GMT"
        for path in ("/snapshot/new", "/snapshot/other", "/snapshot/", "/gate", "/metrics", "/"):
            assert (await client.get(path)).status_code == HTTPStatus.NOT_FOUND, path
        assert (await client.post("/snapshot/gate")).status_code == HTTPStatus.METHOD_NOT_ALLOWED
        with pytest.raises(httpx.ConnectError):
            await asyncio.wait_for(client.get(f"http://127.0.0.2:{port}/snapshot/gate"), 10)
    await server.close()


def test_a_picture_is_no_matter_of_relaying_or_recording() -> None:
    sink = PictureSink(ImmediateAnalyser())
    facts = SinkSet((MadeSink("", sink),)).facts([ConditionType.RECORDING])
    assert not facts[ConditionType.RECORDING].working
    assert sink.condition is ConditionType.IMAGE_HEALTHY
