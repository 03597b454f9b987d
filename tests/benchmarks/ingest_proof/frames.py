# SPDX-License-Identifier: Apache-2.0
"""`make prove-frames`: every picture that cameras send lies on the disk and at the monitoring
system, once, in order, octet for octet.

One worker, one monitoring system, cameras that each do one thing that loses pictures elsewhere, all
at the same time. Each camera labels its pictures (camera_simulator.rtsp.labels).
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camera_simulator import Camera, Simulator
from camera_simulator.rtsp.audio import audio_track
from camfleet_worker.media_types.sink_state import SinkCounters
from eventually import eventually_async
from vms import RecordServer

from ..figures import Figures
from .account import Account, Sighting, account, account_of_audio, runs
from .evidence import audio_on, decoded_along, pictures_at, pictures_on, spans_on
from .proving_ground import ProvenWorker, hush, labelled_camera, path_of, policy, say, template

OFF_S = 5.0
SPLICED_S = 2.5
"""For so long a camera sends groups of pictures of another size between its own."""
MAX_TIME_ERROR_S = 2.0
"""A span whose timeline and our clock are further apart is ended (record/DESIGN.md)."""

Event = Callable[[Camera], Awaitable[object]]


@dataclass(frozen=True)
class Variant:
    """A camera, and what befalls it: events by the share of the time at which they happen."""

    name: str
    what: str
    settings: dict[str, Any] = field(default_factory=dict)
    events: tuple[tuple[float, Event], ...] = ()


async def change_size(camera: Camera) -> None:
    """To other parameter sets and back, each time at a key frame."""
    await _in_an_even_group(camera)
    await camera.change(flips_size=True)
    await asyncio.sleep(SPLICED_S)
    await _in_an_even_group(camera)
    await camera.change(flips_size=False)


async def _in_an_even_group(camera: Camera) -> None:
    """Of its clip's; in odd ones it sends the other size, so between these it may be switched."""
    gop = camera.clips["main"].gop

    def early_in_an_even_group() -> bool:
        group, place = divmod(camera.labeller.count, gop)
        return group % 2 == 0 and gop // 4 <= place < gop // 2

    await eventually_async(early_in_an_even_group, every_s=0.02)


async def _restart(camera: Camera) -> None:
    await camera.power(False)
    await asyncio.sleep(OFF_S)
    await camera.power(True)


def _set(**changes: Any) -> Event:
    return lambda camera: camera.change(**changes)


_JUMPS: tuple[tuple[float, Event], ...] = (
    (0.3, _set(timestamps="jump-ahead")),
    (0.6, _set(timestamps="true")),
)
"""An hour ahead, and back again."""

VARIANTS = (
    Variant("cuts", "H.264", {"resolution": "360p"}),
    Variant(
        "size",
        "H.264, parameter sets change",
        {"resolution": "360p"},
        ((0.3, change_size), (0.6, change_size)),
    ),
    Variant("jump", "H.264, timestamps jump", {"resolution": "240p"}, _JUMPS),
    Variant("bframes", "H.264, B-frames, timestamps jump", {"faults": ("b-frames",)}, _JUMPS),
    Variant(
        "b-undeclared",
        "H.264, B-frames undeclared, timestamps jump",
        {"faults": ("b-frames-undeclared",)},
        _JUMPS,
    ),
    Variant("hevc", "H.265, timestamps jump", {"codec": "h265", "resolution": "360p"}, _JUMPS),
    Variant(
        "hevc-b",
        "H.265, B-frames, timestamps jump",
        {"codec": "h265", "faults": ("b-frames",)},
        _JUMPS,
    ),
    Variant(
        "sets",
        "H.264, a parameter set changes within each group",
        {"faults": ("parameter-sets-change-within-a-group",)},
    ),
    Variant(
        "hevc-sets",
        "H.265, a parameter set changes within each group",
        {"codec": "h265", "faults": ("parameter-sets-change-within-a-group",)},
    ),
    Variant(
        "flips",
        "H.264, every second group has other parameter sets",
        {"resolution": "360p", "flips_size": True},
    ),
    Variant("open", "H.264, open GOPs, one IDR picture", {"faults": ("open-groups",)}),
    Variant(
        "ms",
        "H.264, stamped in milliseconds",
        {"resolution": "240p", "faults": ("stamps-milliseconds",)},
    ),
    Variant("restart", "H.264, camera restarts", {"resolution": "240p"}, ((0.5, _restart),)),
    Variant(
        "hevc-restart",
        "H.265, B-frames, camera restarts",
        {"codec": "h265", "faults": ("b-frames",)},
        ((0.4, _restart), (0.7, _restart)),
    ),
    Variant(
        "silent",
        "H.264, AAC falls silent",
        {"resolution": "240p", "audio": "aac"},
        ((0.3, _set(audio_loss=1)), (0.6, _set(audio_loss=0))),
    ),
)


def prove(minutes: float) -> int:
    """The exit status: 0 if every picture is accounted for."""
    return asyncio.run(_prove(minutes))


async def _prove(minutes: float) -> int:
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="camfleet-frames-") as folder:
        evidence = await _run(minutes * 60, Path(folder))
        for variant, camera in evidence.cameras:
            say(f"accounting for {variant.what}")
            _account_for(figures, variant, camera, evidence)
    return figures.print()


@dataclass
class _Evidence:
    volume: Path
    cameras: list[tuple[Variant, Camera]]
    relayed: dict[str, list[Sighting]]
    audio: dict[str, list[str]]
    relay: dict[str, SinkCounters]
    recording: dict[str, SinkCounters]


async def _run(seconds: float, folder: Path) -> _Evidence:
    async with AsyncExitStack() as running:
        simulator = await running.enter_async_context(Simulator())
        vms = running.enter_context(RecordServer())
        worker = await running.enter_async_context(ProvenWorker(folder))
        cameras = [
            (variant, await labelled_camera(simulator, variant.name, **variant.settings))
            for variant in VARIANTS
        ]
        relay_to = template("127.0.0.1", vms.rtsp_port)
        await worker.take((policy(relay_to), [camera for _, camera in cameras]))
        say(f"{len(cameras)} cameras are Ready; streaming for {seconds:.0f} s")
        await asyncio.gather(asyncio.sleep(seconds), *(_befall(v, c, seconds) for v, c in cameras))
        say("the cameras fall still")
        await hush(vms, *(camera for _, camera in cameras))
        names = [camera.name for _, camera in cameras]
        return _Evidence(
            folder / "recordings",
            cameras,
            relayed={name: pictures_at(vms, path_of(name)) for name in names},
            audio={name: [one.sha256 for one in vms.audio_units(path_of(name))] for name in names},
            relay={name: worker.relay(name).counters for name in names},
            recording={name: worker.recording(name).counters for name in names},
        )


async def _befall(variant: Variant, camera: Camera, seconds: float) -> None:
    begun = camera.monotonic_s()
    for share, event in variant.events:
        await asyncio.sleep(max(0.0, begun + share * seconds - camera.monotonic_s()))
        say(f"{variant.what}: now")
        await event(camera)


def _account_for(figures: Figures, variant: Variant, camera: Camera, evidence: _Evidence) -> None:
    name, sent = camera.name, camera.labeller.count
    figures.demand(
        met=camera.counters.frames_dropped == 0,
        failure=f"{variant.what}: the camera itself dropped {camera.counters.frames_dropped}",
    )
    on_disk = pictures_on(evidence.volume, name)
    _row(figures, f"{variant.what}: on disk", account(name, sent, on_disk))
    arrived = account(name, sent, evidence.relayed[name])
    _row(figures, f"{variant.what}: at the VMS", arrived)
    dropped = evidence.relay[name].dropped_access_units
    figures.add("  before its first, of which the relay counted", f"{arrived.before}, {dropped}")
    figures.demand(arrived.before == dropped, f"{variant.what}: the relay counts {dropped} dropped")
    record_dropped = evidence.recording[name].dropped_access_units
    figures.demand(not record_dropped, f"{variant.what}: {record_dropped} not recorded, counted")
    _files(figures, variant, evidence, len(on_disk))
    _times(figures, variant, on_disk)
    if variant.settings.get("audio"):
        _audio(figures, variant, camera, evidence)


def _row(figures: Figures, what: str, found: Account) -> None:
    figures.add(what, str(found), "0 lost, 0 doubled, 0 out of order, 0 altered")
    figures.demand(found.exact, f"{what}: {found}; lost (first, how many): {runs(found.lost)[:10]}")
    figures.demand(found.found > 0, f"{what}: nothing found")


def _files(figures: Figures, variant: Variant, evidence: _Evidence, pictures: int) -> None:
    spans = spans_on(evidence.volume, variant.name)
    files = sum(len(span.segments) for span in spans)
    shown = sum(decoded_along(evidence.volume, span) for span in spans)
    figures.add("  spans, segments, pictures decoded", f"{len(spans)}, {files}, {shown}")
    figures.add("  sessions at the VMS", str(evidence.relay[variant.name].connects))
    figures.demand(shown == pictures, f"{variant.what}: {shown} of {pictures} decode")


def _times(figures: Figures, variant: Variant, on_disk: list[Sighting]) -> None:
    worst = max(
        (abs(one.at_s - one.label.sent_s) for one in on_disk if one.label is not None), default=0.0
    )
    figures.add("  worst distance of a time on disk from when it was sent, s", f"{worst:.2f}", "2")
    figures.demand(worst <= MAX_TIME_ERROR_S, f"{variant.what}: a time is wrong by {worst:.2f} s")


def _audio(figures: Figures, variant: Variant, camera: Camera, evidence: _Evidence) -> None:
    settings, sent = camera.settings, camera.counters.audio_sent
    track = audio_track(settings.audio, settings.audio_packing)
    tone = [hashlib.sha256(unit).hexdigest() for unit in track.units]
    relay, recording = evidence.relay[variant.name], evidence.recording[variant.name]
    places = {
        "at the VMS": (evidence.audio[variant.name], relay.dropped_audio_units),
        "on disk": (audio_on(evidence.volume, variant.name), recording.dropped_audio_units),
    }
    for place, (heard, dropped) in places.items():
        found = account_of_audio(tone, heard)
        told = (
            f"{found.found} of {sent}, {dropped} dropped and counted: "
            f"{found.holes} holes, {found.foreign} foreign"
        )
        figures.add(f"{variant.what}: audio {place}", told, "1 hole, 0 foreign")
        whole = found.holes == 1 and not found.foreign and found.found + dropped == sent
        figures.demand(whole, f"{variant.what}: audio {place}: {told}")
