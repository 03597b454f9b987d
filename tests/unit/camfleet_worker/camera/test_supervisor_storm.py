# SPDX-License-Identifier: Apache-2.0
"""A worker whose cameras all lose their line and get it back, in virtual time: real supervisors,
budgets, devices, ledger and reporter; only cameras, media loop and API server are tapes."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from camfleet_api.camera import CameraStatus, DeviceStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.ingest_shard import IngestShardSpec, Policy, ShardCamera
from camfleet_api.policy import CredentialsRef, StreamRole
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_base.token_bucket import TokenBucket
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.assignment_index import AssignmentIndex
from camfleet_worker.camera.connect_budget import WORKER_PER_S, ConnectBudget
from camfleet_worker.camera.connector import ConnectDeps
from camfleet_worker.camera.devices import Devices
from camfleet_worker.camera.fleet import Fleet
from camfleet_worker.camera.sink_set import NO_SINKS
from camfleet_worker.camera.supervisor import SupervisorDeps
from camfleet_worker.camera.timings import CameraTimings
from camfleet_worker.ingest import STATUS_BURST_S
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media.stream import StreamListener
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.reporter.reporter import Reporter
from camfleet_worker.resolve import AttemptGate, Resolution, ResolveRequest
from camfleet_worker.rtsp.client import BeforeAttempt, LoginAccepted, PlayingStream, StreamTarget
from camfleet_worker.settings import Settings
from device_tape import LEARNED
from forgetful_journals import ForgetfulJournals
from virtual_time import VirtualClock, run_virtual

PER_SITE = 5
FORMAT = VideoFormat(Codec.H264, (b"sps", b"pps"), 1280, 720)
NO_ANSWER = IngestError(ConditionType.REACHABLE, Reason.TIMEOUT, "No answer on RTSP port in time")
SILENT = IngestError(ConditionType.STREAMING, Reason.NO_FRAMES, "Nothing came for 10 seconds")
STALL_S = CONNECT_S = 10.0


@dataclass
class Line:
    """All cameras hang on it; when it is cut, packets vanish without a word."""

    up: asyncio.Event = field(default_factory=asyncio.Event)
    resolved: int = 0
    opened: list[tuple[float, str]] = field(default_factory=list)
    pending: Counter[str] = field(default_factory=Counter)
    most_pending: Counter[str] = field(default_factory=Counter)
    sessions: set[Channel] = field(default_factory=set)

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        self.resolved += 1
        await attempts.before_attempt("digest")
        await asyncio.sleep(0.5)
        await attempts.proven("digest")
        return Resolution(DeviceStatus(serial_number=f"SN{request.host}"), LEARNED)

    async def open_stream(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        *,
        deadline_s: float,
        before_attempt: BeforeAttempt,
        accepted: LoginAccepted,
    ) -> PlayingStream:
        self.opened.append((_now(), target.host))
        self.pending[target.host] += 1
        self.most_pending |= self.pending
        try:
            async with asyncio.timeout(CONNECT_S):
                await self.up.wait()
            await asyncio.sleep(0.2)
        except TimeoutError:
            raise NO_ANSWER from None
        finally:
            self.pending[target.host] -= 1
        session = SimpleNamespace(timeout_s=60.0, uncounted_ends_s=(30.0, 120.0))
        stream = SimpleNamespace(
            codec=Codec.H264, session=session, certificate="", transport="tcp", silence=""
        )
        return cast(PlayingStream, stream)

    async def cut(self, seconds: float) -> None:
        self.up.clear()
        loop = asyncio.get_running_loop()
        for session in self.sessions:
            loop.call_later(STALL_S, session.fall)
        await asyncio.sleep(seconds)
        self.up.set()


class Channel:
    """A MediaChannel and its Session."""

    counters = StreamCounters()

    def __init__(self, line: Line) -> None:
        self.arrivals = DeliveryLog()
        self._line = line
        self._listener: StreamListener | None = None

    def play(self, stream: PlayingStream, listener: StreamListener) -> Channel:
        self._listener = listener
        self._line.sessions.add(self)
        asyncio.get_running_loop().call_later(0.3, listener.first_key_frame, FORMAT)
        return self

    def fall(self) -> None:
        if self._listener is not None and not self._line.up.is_set():
            self._listener.ended(SILENT)

    def stop(self) -> Future[None]:
        self._line.sessions.discard(self)
        self._listener = None
        return Future()

    def replace_sinks(self, sinks: Sequence[Sink]) -> None:
        pass

    def close(self) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done


class Objects:
    """The Camera objects."""

    def __init__(self) -> None:
        self.ready: dict[str, str] = {}
        self.written: dict[str, list[str]] = {}
        """Reasons of Ready, a write each, by Camera."""

    async def camera(self, name: str) -> dict[str, Any] | None:
        return {"metadata": {"uid": f"uid-{name}"}, "status": {}}

    async def apply_camera_status(self, name: str, status: dict[str, Any]) -> dict[str, Any]:
        conditions = {c["type"]: c for c in status["conditions"]}
        self.written.setdefault(name, []).append(conditions["Ready"]["reason"])
        await asyncio.sleep(0.01)
        self.ready[name] = conditions["Ready"]["reason"]
        return {"metadata": {"uid": f"uid-{name}"}}


def shard(sites: int, cameras: int, channels: int) -> IngestShardSpec:
    policy = Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        recording=RecordingPolicy(enabled=False),
        relays=[],
        site_connects_per_second=PER_SITE,
    )
    entries = [
        ShardCamera.read(
            {
                "name": f"cam{number}",
                "uid": f"uid-cam{number}",
                "generation": 1,
                "site": f"site{number // channels % sites}",
                "host": f"device{number // channels}",
                "onvifPort": 80,
                "rtspPort": 554,
                "scheme": "http",
                "onvifPath": "/onvif/device_service",
                "source": {"channel": number % channels + 1},
                "credentials": {"secretName": "cameras"},
                "policy": 0,
            }
        )
        for number in range(cameras)
    ]
    return IngestShardSpec(hash="h", policies=[policy], cameras=entries)


@settings(max_examples=4)
@given(
    sites=st.integers(5, 30),
    channels=st.sampled_from([1, 1, 4, 16]),
    cut_s=st.floats(20, 400),
)
def test_a_worker_that_loses_its_line_has_every_camera_ready_within_a_minute_of_its_return(
    sites: int, channels: int, cut_s: float
) -> None:
    cameras = 167
    line, objects = run_virtual(_cut_and_return(shard(sites, cameras, channels), cut_s))

    assert set(objects.ready.values()) == {"Ready"}
    assert [name for name, reasons in objects.written.items() if not in_order(reasons)] == []
    assert line.resolved == cameras
    _within_budget([at for at, _ in line.opened], WORKER_PER_S)
    # Nobody pays a timeout that a sibling is paying already.
    assert line.pending.total() == 0


def in_order(reasons: list[str]) -> bool:
    """Whether each step was written at most once, and nothing else: Pending before a login or
    after ten seconds of waiting for a sibling's, Ready, the stream gone, the device gone, Ready."""
    steps = iter(("Pending", "Ready", "NoFrames", "Timeout", "Ready"))
    return all(reason in steps for reason in reasons)


async def _cut_and_return(spec: IngestShardSpec, cut_s: float) -> tuple[Line, Objects]:
    line, objects = Line(), Objects()
    line.up.set()
    budget = Settings.of({"CAMFLEET_SHARD": "s", "CAMFLEET_NAMESPACE": "n"}).status_writes_per_s
    reporter = Reporter(objects, VirtualClock(), TokenBucket(budget, budget * STATUS_BURST_S))
    names = {camera.uid: camera.name for camera in spec.cameras}
    deps = SupervisorDeps(
        connect=ConnectDeps(
            resolver=line,
            open_stream=line.open_stream,
            probe=_closed_line,
            accounts=_Accounts(),
            ledger=AttemptLedger(VirtualClock()),
            record_attempt=reporter.record_attempt,
            budget=ConnectBudget(),
            other_camera=_unread,
        ),
        devices=Devices(),
        restore_status=_no_status,
        make_sinks=lambda assignment, before: NO_SINKS,
        journals=ForgetfulJournals(),
        reports=reporter,
        timings=CameraTimings(),
    )
    fleet = Fleet(deps, reporter, lambda camera: Channel(line), AssignmentIndex())
    parts = [asyncio.create_task(reporter.run()), asyncio.create_task(fleet.poll())]
    await fleet.apply(spec)
    await asyncio.sleep(150)
    assert objects.ready == dict.fromkeys(names.values(), "Ready")

    line.opened.clear()
    line.most_pending.clear()
    await line.cut(cut_s)
    assert "Ready" not in objects.ready.values() or cut_s < STALL_S + 40
    assert max(line.most_pending.values()) == 1
    await asyncio.sleep(60)
    for part in parts:
        part.cancel()
    await asyncio.gather(*parts, return_exceptions=True)
    await fleet.stop()
    return line, objects


def _within_budget(times: list[float], per_s: float) -> None:
    """No second has more than the budget, whenever it begins."""
    times = sorted(times)
    most = int(per_s)
    for first, after in zip(times, itertools.islice(times, most + 1, None), strict=False):
        assert after - first >= 0.999


class _Accounts:
    async def known(self, name: str, within_s: float) -> bool:
        return True

    def camera_login(self, ref: CredentialsRef) -> Credentials:
        return Credentials("admin", "pw", "1")


async def _closed_line(host: str, port: int, within_s: float) -> IngestError | None:
    return NO_ANSWER


async def _unread(name: str) -> CameraStatus | None:
    return None


async def _no_status(assignment: Assignment) -> CameraStatus | None:
    return None


def _now() -> float:
    return asyncio.get_running_loop().time()
