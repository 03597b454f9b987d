# SPDX-License-Identifier: Apache-2.0
"""Audio on its way into segments: what can be recorded waits here for the access units beside it.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.

Used by the recording sink on the media loop's thread alone. Audio that recordings do not take is
passed over, and the log says so once. It decides nothing about segments: audio follows them.
"""

from __future__ import annotations

import logging

from camfleet_worker.media_types.audio_queue import AUDIO_BYTES, AudioQueue
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.codec_outputs import RECORDED_AUDIO
from camfleet_worker.record.open_segment import OpenSegment
from camfleet_worker.record.write_progress import WriteProgress

log = logging.getLogger(__name__)


class RecordedAudio:
    """The audio of one camera."""

    def __init__(self, camera: str, progress: WriteProgress) -> None:
        self.format: AudioFormat | None = None
        """The newest that can be recorded, though it may have fallen silent since."""
        self.newest_pts = -1
        self._camera = camera
        self._progress = progress
        self._queue = AudioQueue(AUDIO_BYTES, progress.counters)
        self._passed_over: AudioCodec | None = None

    @property
    def waiting(self) -> bool:
        """Whether any unit waits."""
        return self._queue.bytes > 0

    def push(self, unit: AudioUnit) -> bool:
        """Take one unit; False where it is none that recordings take."""
        if unit.format.codec not in RECORDED_AUDIO:
            self._tell_passed_over(unit.format.codec)
            return False
        if _has_adts_header(unit.data):
            self._progress.dropped(0, audio_units=1)
            return False
        if unit.pts_90k < self.newest_pts:
            self.drop()  # of another timeline: it would wait for ever
        self.newest_pts = unit.pts_90k
        self.format = unit.format
        with self._progress.lock:
            self._queue.push(unit)
        return True

    def move_to(self, segment: OpenSegment, until_90k: int) -> None:
        """Audio until then joins the segment; what belongs to none is lost."""
        strangers = segment.add_audio(self._queue.take(until_90k))
        if strangers:
            self._progress.dropped(0, audio_units=strangers)

    def drop(self) -> None:
        """What waits belongs to nothing that will be written."""
        with self._progress.lock:
            self._queue.drop_before(None)

    def _tell_passed_over(self, codec: AudioCodec) -> None:
        if codec is not self._passed_over:
            self._passed_over = codec
            log.info(
                "audio is not recorded: recordings take %s",
                " or ".join(RECORDED_AUDIO),
                extra={"camera": self._camera, "cause": f"the camera sends {codec}"},
            )


def _has_adts_header(data: bytes) -> bool:
    """Whether a unit of AAC comes in the frame that files without containers give it (ISO/IEC
    14496-3 section 1.A.2.2). No access unit begins so, and the muxer ends the file over one."""
    return int.from_bytes(data[:2], "big") & 0xFFF0 == 0xFFF0
