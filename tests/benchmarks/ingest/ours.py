# SPDX-License-Identifier: Apache-2.0
"""The worker's way: its RTSP client, its media loop and its sinks, in one process.

Everything else that a worker imports and parses is held too, so that its fixed memory counts.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from os import getpid
from pathlib import Path
from urllib.parse import urlsplit

from kubernetes.aio import client

import camfleet_worker.app  # noqa: F401 - for its memory
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.cluster.api import Cluster
from camfleet_worker.cluster.connection import Connection
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.onvif import wsdl
from camfleet_worker.record.housekeeping import VolumeSettings
from camfleet_worker.record.layout import camera_prefix
from camfleet_worker.record.recording import RecordingSettings, RecordingSink
from camfleet_worker.record.volume import VolumeWriter
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import StreamNames, relay_target
from camfleet_worker.rtsp.client import StreamTarget, no_gate, open_stream

from .job import Job, Task
from .usage import measure


class _Listener:
    def first_key_frame(self, video_format: object) -> None: ...

    def ended(self, error: Exception) -> None:
        print(f"a stream ended: {error}", file=sys.stderr)


async def run(job: Job) -> None:
    """Open every stream, then measure."""
    await _load_the_rest()
    volume = VolumeWriter(VolumeSettings(Path(job.folder)))
    volume.start()
    resolver = Resolver()
    media = MediaLoop(job.tick_s)
    media.start()
    counted: list[list[StreamCounters] | list[SinkCounters]] = []
    for number, url in enumerate(job.cameras):
        sinks = _sinks(job, number, volume, resolver)
        at = urlsplit(url)
        target = StreamTarget(at.hostname or "", at.port or 554, at.path)
        stream = await open_stream(target, None, deadline_s=20, before_attempt=no_gate)
        handle = media.open_feed(f"c{number}", sinks).play(stream, _Listener())
        counted.append([sink.counters for sink in sinks] if sinks else [handle.counters])

    def pictures() -> int:
        return sum(min(one.access_units for one in of_camera) for of_camera in counted)

    await asyncio.to_thread(measure, job, [getpid()], pictures)
    # Since the start: with TLS the handshakes of all relays are in it.
    print(f"worst lag of a tick: {media.counters.worst_lag_s * 1000:.0f} ms", file=sys.stderr)
    await asyncio.to_thread(media.stop)
    volume.close(30)
    resolver.close()


async def _load_the_rest() -> None:
    """What a worker loads on its way to the first stream."""
    for namespace in (wsdl.DEVICE, wsdl.MEDIA1, wsdl.MEDIA2):
        wsdl.binding(namespace)
    async with Connection(client.ApiClient(), client.ApiClient()) as connection:
        Cluster(connection, "bench")
    gc.collect()
    gc.freeze()  # as the worker does


def _sinks(job: Job, number: int, volume: VolumeWriter, resolver: Resolver) -> list[Sink]:
    name = f"c{number}"
    sinks: list[Sink] = []
    if job.task is not Task.RECEIVE:
        prefix = camera_prefix("bench", name, f"{number:08}")
        sinks.append(RecordingSink(RecordingSettings(prefix), volume))
    if job.task is Task.RELAY:
        url = job.systems[number]
        protocol = RelayProtocol(urlsplit(url).scheme)
        names = StreamNames("bench", "bench", name, name)
        target = relay_target(protocol, url, names, [Codec.H264], None, job.authorities)
        if protocol is RelayProtocol.RTMP:
            sinks.append(RtmpRelay("vms", target))
        else:
            sinks.append(RtspRelay("vms", target, resolver))
    return sinks
