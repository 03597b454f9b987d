# SPDX-License-Identifier: Apache-2.0
"""What a supervisor needs of the world, as narrow as it needs it. The app hands in the real
parts, tests hand in tapes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from camfleet_api.camera import Attempts, CameraStatus
from camfleet_api.policy import CredentialsRef
from camfleet_worker.base.backoff import Backoff
from camfleet_worker.base.errors import IngestError
from camfleet_worker.camera.assignment import Assignment
from camfleet_worker.camera.connect_budget import ConnectBudget
from camfleet_worker.camera.devices import Devices
from camfleet_worker.camera.first_login import OtherCamera, nobody_else
from camfleet_worker.camera.sink_set import SinkSet
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.counters import StreamCounters
from camfleet_worker.media_types.access_unit import VideoFormat
from camfleet_worker.media_types.causes import Cause
from camfleet_worker.media_types.delivery_log import DeliveryLog
from camfleet_worker.media_types.sink import Sink
from camfleet_worker.reporter.facts import CameraFacts
from camfleet_worker.resolve import AttemptGate, Resolution, ResolveRequest
from camfleet_worker.rtsp.client import BeforeAttempt, PlayingStream, StreamTarget


class Journal(Protocol):
    """Where the truth about a camera's gaps is kept."""

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        """The camera does not stream. `connecting`: it was asked and this came of it."""

    def follow(self, sinks: SinkSet) -> None:
        """These bring pictures to their ends from now on, or could not be made."""

    def look(self, sinks: SinkSet) -> None:
        """Note whether the picture can be used."""


class JournalKeeper(Protocol):
    """The journals of all cameras."""

    def open(self, assignment: Assignment, arrivals: DeliveryLog) -> Journal:
        """Begin one."""

    def close(self, journals: Iterable[Journal]) -> None:
        """Their cameras have stopped on purpose."""


class NoJournals:
    """Where nobody asks for the truth."""

    def open(self, assignment: Assignment, arrivals: DeliveryLog) -> Journal:
        """One that forgets."""
        return self

    def close(self, journals: Iterable[Journal]) -> None:
        """Nothing is open."""

    def failed(self, cause: Cause, *, connecting: bool = False) -> None:
        """Nobody notes it."""

    def follow(self, sinks: SinkSet) -> None:
        """Nobody looks."""

    def look(self, sinks: SinkSet) -> None:
        """Nobody sees it."""


class Listener(Protocol):
    """Whom the media loop tells about a session, on its own thread."""

    def first_key_frame(self, video_format: VideoFormat) -> None:
        """The stream streams."""

    def ended(self, error: IngestError) -> None:
        """The session is over."""


class Session(Protocol):
    """A session inside the media loop."""

    @property
    def counters(self) -> StreamCounters:
        """What has passed; safe to read at any time."""

    def stop(self) -> Future[None]:
        """TEARDOWN; done when the socket is closed. Nothing is told any more."""


class MediaChannel(Protocol):
    """A camera's place in the media loop; its sinks outlive its sessions."""

    @property
    def arrivals(self) -> DeliveryLog:
        """What arrives."""

    def play(self, stream: PlayingStream, listener: Listener) -> Session:
        """Take the stream over."""

    def replace_sinks(self, sinks: Sequence[Sink]) -> None:
        """Those that stay go on, those that left are closed."""

    def close(self) -> Future[None]:
        """End the session and close every sink; done when all of that is done."""


class Resolver(Protocol):
    """Asking a camera by ONVIF."""

    async def resolve(
        self, request: ResolveRequest, credentials: Credentials | None, *, attempts: AttemptGate
    ) -> Resolution:
        """The stream to take, or IngestError."""


class StreamOpener(Protocol):
    """Opening a stream by RTSP."""

    async def __call__(
        self,
        target: StreamTarget,
        credentials: Credentials | None,
        *,
        deadline_s: float,
        before_attempt: BeforeAttempt,
    ) -> PlayingStream:
        """A playing stream, or IngestError."""


class Logins(Protocol):
    """Where camera accounts come from."""

    async def known(self, name: str, within_s: float) -> bool:
        """Wait until it is known whether the Secret exists."""

    def camera_login(self, ref: CredentialsRef) -> Credentials:
        """The account, or IngestError."""


class Reports(Protocol):
    """Where facts go."""

    def publish(self, uid: str, facts: CameraFacts) -> None:
        """Take facts of a camera."""

    async def record_attempt(self, uid: str, attempts: Attempts, generation: int) -> None:
        """Write an attempt down; ClusterError where that fails."""


Probe = Callable[[str, int, float], Awaitable[IngestError | None]]
"""Whether anybody answers at (host, port) within so many seconds."""

Recollect = Callable[[Assignment], Awaitable[CameraStatus | None]]
"""What former workers reported on a camera. When it returns, the ledger knows every attempt that
was spent on its device."""

MakeSinks = Callable[[Assignment, SinkSet], SinkSet]
"""The sinks of an assignment; those of the former set that stay the same are kept."""


@dataclass(frozen=True)
class Pace:
    """How long things must last; tests shorten them."""

    healthy_after_s: float = 60.0
    """A camera that plays for two seconds and dies keeps its long backoff."""
    outage_s: float = 30.0
    """After a longer outage it may be another device, or one whose clock begins in 1970."""
    recheck_least_s: float = 180.0
    recheck_most_s: float = 600.0
    """When ONVIF is asked about that: far from the storm of a site that returns."""


@dataclass(frozen=True)
class Surroundings:
    """Everything that the supervisors of a worker share."""

    resolver: Resolver
    open_stream: StreamOpener
    probe: Probe
    accounts: Logins
    ledger: AttemptLedger
    reports: Reports
    recollect: Recollect
    budget: ConnectBudget
    make_sinks: MakeSinks
    backoff: Callable[[], Backoff] = Backoff
    devices: Devices = field(default_factory=Devices)
    other_camera: OtherCamera = nobody_else
    pace: Pace = Pace()
    journals: JournalKeeper = field(default_factory=NoJournals)
