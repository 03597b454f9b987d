# SPDX-License-Identifier: Apache-2.0
"""Which metrics the worker has, and which counter is shown by which. Data alone.

Read by collector.py, which scrapes, and by reference.py, which writes METRICS.md. Each mapping has
an entry for each field of the counters it stands for, which tests/unit holds: what is counted is
shown. Several fields may share a family; their values are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from camfleet_worker.base.skipped import Part

CAMERA = ("namespace", "site", "camera")
SINK = (*CAMERA, "sink")
SITE = ("namespace", "site")


class Kind(StrEnum):
    """What Prometheus makes of a metric: a counter's exposed name ends in `_total`."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `action`: what a person does when it moves, one sentence."""

    name: str
    kind: Kind
    meaning: str
    action: str
    labels: tuple[str, ...] = ()
    audio_only: bool = False
    """Shown only where the camera's policy asks for audio."""

    @property
    def exposed_name(self) -> str:
        """As a query names it."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


def _counter(name: str, meaning: str, action: str, *labels: str, audio: bool = False) -> Family:
    return Family(name, Kind.COUNTER, meaning, action, labels, audio)


def _gauge(name: str, meaning: str, action: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, meaning, action, labels)


_NOTHING = "Nothing: it is the base of rates."
_LINE = "Where it rises, look at the line to the camera: its load, its Wi-Fi, its MTU."
_FIRMWARE = "Where it rises, look for newer firmware of the camera and report the model."
_BUG = "Report it with the log line that says `bug`."

UP = _gauge(
    "camfleet_ingest_camera_up",
    "1 while whole access units arrive.",
    "At 0, read the conditions of the Camera: they say where it fails and what to do.",
    *CAMERA,
)
RECONNECTS = _counter(
    "camfleet_ingest_reconnects",
    "Sessions that streamed.",
    "Where it rises by more than a few a day, read condition Stable of the Camera.",
    *CAMERA,
)
AUTH_FAILURES = _counter(
    "camfleet_ingest_auth_failures",
    "Connects that ended at the login.",
    "Correct the Secret before the device locks the account; condition Authenticated says which.",
    *CAMERA,
)
IMAGE_HEALTHY = _gauge(
    "camfleet_ingest_image_healthy",
    "1 while the picture is as usual, 0 while it has a fault, absent until that is known.",
    "At 0, read condition ImageHealthy of the Camera and look at its snapshot.",
    *CAMERA,
)
STATES = (UP, RECONNECTS, AUTH_FAILURES, IMAGE_HEALTHY)
"""The state of a camera, by its supervisor."""

LAST_FRAME_AGE = _gauge(
    "camfleet_ingest_last_frame_age_seconds",
    "Since the last access unit.",
    "Above five seconds is a gap in the journal, which says whose.",
    *CAMERA,
)

STREAM: dict[str, Family] = {
    "bytes": _counter("camfleet_ingest_bytes", "Octets received.", _NOTHING, *CAMERA),
    "packets": _counter("camfleet_ingest_packets", "RTP packets of video.", _NOTHING, *CAMERA),
    "lost_packets": _counter(
        "camfleet_ingest_lost_packets", "RTP packets of video lost.", _LINE, *CAMERA
    ),
    "late_packets": _counter(
        "camfleet_ingest_late_packets",
        "RTP packets over UDP that came after their successors had been used; also counted as "
        "lost.",
        "Where it rises, let the camera stream over TCP, or even out the line's delays.",
        *CAMERA,
    ),
    "foreign_datagrams": _counter(
        "camfleet_ingest_foreign_datagrams",
        "UDP datagrams to the camera's port from another address, thrown away.",
        "Find out who sends to the worker: nobody else should.",
        *CAMERA,
    ),
    "access_units": _counter(
        "camfleet_ingest_access_units", "Access units received.", _NOTHING, *CAMERA
    ),
    "key_frames": _counter("camfleet_ingest_key_frames", "Key frames received.", _NOTHING, *CAMERA),
    "damaged_access_units": _counter(
        "camfleet_ingest_damaged_access_units",
        "Access units with a hole: packets of them were lost. They are not handed out.",
        _LINE,
        *CAMERA,
    ),
    "skipped_access_units": _counter(
        "camfleet_ingest_skipped_access_units",
        "Whole access units that refer to lost ones: dropped until the next key frame.",
        "Where it is many times the damaged ones, set a shorter interval of key frames.",
        *CAMERA,
    ),
    "refused_parameter_sets": _counter(
        "camfleet_ingest_refused_parameter_sets",
        "Parameter sets (VPS, SPS, PPS) that made no sense, or were too many: they are not used.",
        "Pictures that refer to them do not decode: update the camera's firmware.",
        *CAMERA,
    ),
    "audio_packets": _counter(
        "camfleet_ingest_audio_packets", "RTP packets of audio.", _NOTHING, *CAMERA, audio=True
    ),
    "lost_audio_packets": _counter(
        "camfleet_ingest_lost_audio_packets",
        "RTP packets of audio lost.",
        _LINE,
        *CAMERA,
        audio=True,
    ),
    "audio_units": _counter(
        "camfleet_ingest_audio_units", "Audio units received.", _NOTHING, *CAMERA, audio=True
    ),
    "damaged_audio_units": _counter(
        "camfleet_ingest_damaged_audio_units",
        "Audio units with a hole, and audio packets that made no sense.",
        _LINE,
        *CAMERA,
        audio=True,
    ),
    "garbage_bytes": _counter(
        "camfleet_ingest_garbage_bytes",
        "Octets between packets that belonged to nothing.",
        _FIRMWARE,
        *CAMERA,
    ),
    "keepalives": _counter(
        "camfleet_ingest_keepalives", "RTSP keepalives sent.", _NOTHING, *CAMERA
    ),
    "capped_ticks": _counter(
        "camfleet_ingest_capped_ticks",
        "Ticks of the media loop that left octets in the socket: the camera had used up its share.",
        "A camera that sends more than 80 Mbit/s: lower its bit rate.",
        *CAMERA,
    ),
    "last_access_unit_monotonic": LAST_FRAME_AGE,
    "stamped_by_arrival": _counter(
        "camfleet_ingest_stamped_by_arrival",
        "Access units whose own timestamps do not rise: they got the time of their arrival.",
        _FIRMWARE,
        *CAMERA,
    ),
    "camera_clock_offset_s": _gauge(
        "camfleet_ingest_camera_clock_offset_seconds",
        "The camera's wall clock minus ours, by its last sender report.",
        "Above a few seconds, give the camera an NTP server; recordings are named by our clock.",
        *CAMERA,
    ),
    "drift_ppm": _gauge(
        "camfleet_ingest_clock_drift_ppm",
        "How much faster than ours the camera's RTP clock runs, after ten minutes.",
        "It is followed; above 1,000 report the model.",
        *CAMERA,
    ),
    "drift_s": _gauge(
        "camfleet_ingest_clock_drift_seconds",
        "How late the earliest access unit of the last 10 to 20 s arrived, against the camera's "
        "own RTP clock.",
        "It is followed beyond a second; where it stays there, the camera's clock is wrong.",
        *CAMERA,
    ),
}
"""By field of media.counters.StreamCounters."""

_SLOW_VMS = "Find out what takes less than arrives: the VMS, the line to it, or the disk."

SINKS: dict[str, Family] = {
    "access_units": _counter("camfleet_sink_access_units", "Access units passed.", _NOTHING, *SINK),
    "bytes": _counter("camfleet_sink_bytes", "Octets passed.", _NOTHING, *SINK),
    "dropped_access_units": _counter(
        "camfleet_sink_dropped_access_units", "Access units dropped.", _SLOW_VMS, *SINK
    ),
    "dropped_gops": _counter(
        "camfleet_sink_dropped_gops", "Groups of pictures dropped or cut short.", _SLOW_VMS, *SINK
    ),
    "connects": _counter(
        "camfleet_sink_connects",
        "Connections made to the monitoring system.",
        "Where it rises, read condition Relaying of the Camera and the monitoring system's log.",
        *SINK,
    ),
    "short_sessions": _counter(
        "camfleet_sink_short_sessions",
        "Sessions at the monitoring system that ended within a minute.",
        "Where it rises, the monitoring system takes streams and does not keep them: read its log.",
        *SINK,
    ),
    "audio_units": _counter(
        "camfleet_sink_audio_units", "Audio units passed.", _NOTHING, *SINK, audio=True
    ),
    "dropped_audio_units": _counter(
        "camfleet_sink_dropped_audio_units", "Audio units dropped.", _SLOW_VMS, *SINK, audio=True
    ),
}
"""By field of media_types.sink_state.SinkCounters; audio only of sinks that take it."""

BUGS = _counter("camfleet_worker_bugs", "Exceptions that were ours.", _BUG)
SKIPPED_PARTS = _counter(
    "camfleet_worker_skipped_parts",
    "Parts of what cameras and monitoring systems sent that nobody could read and that were passed "
    "over, by kind: " + ", ".join(Part) + ".",
    "Nothing while streams run; else read the log line `skipped what cannot be read`, once per "
    "stream and kind, and report the model.",
    "kind",
)

LOOP: dict[str, Family] = {
    "ticks": _counter("camfleet_media_loop_ticks", "Ticks of the media loop.", _NOTHING),
    "busy_s": _counter(
        "camfleet_media_loop_busy_seconds",
        "Time the media loop spent working.",
        "Above 0.7 a second, give the shard fewer cameras or the worker a faster core.",
    ),
    "lag_s": _gauge(
        "camfleet_media_loop_lag_seconds",
        "How late the last tick began.",
        "Where it stays above a second, the node has no CPU for the worker.",
    ),
    "worst_lag_s": _gauge(
        "camfleet_media_loop_worst_lag_seconds",
        "The latest tick so far.",
        "Above two seconds it is a gap in the journal with the cause `us`.",
    ),
    "wall_clock_steps": _counter(
        "camfleet_worker_wall_clock_steps",
        "Steps of this node's clock, by which recordings are named.",
        "Look at the node's time service.",
    ),
    "stream_faults": BUGS,
    "sink_faults": BUGS,
    "listener_faults": BUGS,
    "loop_faults": BUGS,
}
"""By field of media.counters.LoopCounters."""

PICTURES: dict[str, Family] = {
    "decoded": _counter("camfleet_picture_decoded", "Key frames decoded to judge them.", _NOTHING),
    "skipped": _counter(
        "camfleet_picture_skipped",
        "Key frames that nobody had time to decode.",
        "Where it rises for long, the worker needs more CPU.",
    ),
    "errors": _counter(
        "camfleet_picture_decoder_errors", "Key frames that gave no whole picture.", _FIRMWARE
    ),
    "faults": BUGS,
}
"""By field of picture.pool.PictureCounters."""

JOURNAL: dict[str, Family] = {
    "lines": _counter(
        "camfleet_journal_lines", "Lines of the journal of gaps on the disk.", _NOTHING
    ),
    "dropped_lines": _counter(
        "camfleet_journal_dropped_lines",
        "Lines given up because no disk took them.",
        "The account of gaps has a hole: mend the disk, condition Recording says how.",
    ),
    "lost_bytes": _counter(
        "camfleet_journal_lost_bytes",
        "Of the journal, given up before anybody acknowledged them.",
        "Collect and acknowledge the journal more often.",
    ),
    "write_failures": _counter(
        "camfleet_journal_write_failures",
        "Writes of the journal that failed; what they held was kept.",
        "Look at the recording volume.",
    ),
    "bugs": BUGS,
}
"""By field of journal.keeper.JournalCounters."""

DELETED_FOR_SPACE = _counter(
    "camfleet_recordings_deleted_for_space_bytes",
    "Recordings deleted before their retention time was over, because the volume was full or the "
    "site or the volume was over its bound.",
    "The retention that the site promises is not kept: enlarge the volume, raise the bound, or "
    "lower retention or bit rates.",
    *SITE,
)
TASKS = _gauge(
    "camfleet_worker_tasks", "Tasks of the control loop.", "Where it only rises, report it."
)
STATUS_WRITES = _counter("camfleet_status_writes", "Camera statuses applied.", _NOTHING)
MENDED_ANSWERS = _counter(
    "camfleet_onvif_mended_answers",
    "Answers of devices that were read although something was wrong in them, by what it was.",
    "Where streams of a device are wrong too, look for newer firmware; the log names the device.",
    "wrong",
)
WORKER = (DELETED_FOR_SPACE, BUGS, SKIPPED_PARTS, TASKS, STATUS_WRITES, MENDED_ANSWERS)

VIEWER_ANSWERS = _counter(
    "camfleet_snapshot_viewer_answers",
    "Requests of the second listener by HTTP status, 200 where they were let through.",
    "Many 401 or 403: somebody asks who may not.",
    "code",
)
VIEWER_REVIEWS = _counter("camfleet_snapshot_viewer_reviews", "Tokens asked about.", _NOTHING)
VIEWER = (VIEWER_ANSWERS, VIEWER_REVIEWS)
"""Where a viewer of snapshots is declared."""

SCRAPED = tuple(
    dict.fromkeys(
        (
            *STATES,
            *STREAM.values(),
            *SINKS.values(),
            *LOOP.values(),
            *PICTURES.values(),
            *JOURNAL.values(),
            *WORKER,
        )
    )
)
"""Every family that a worker shows, each once."""
