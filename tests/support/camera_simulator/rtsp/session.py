# SPDX-License-Identifier: Apache-2.0
"""One RTSP session of the replay server: which frame is due, and how it is stamped.

A session begins with a key frame at the moment of PLAY, as cameras do that make one for a new
viewer, and goes on at the clip's frame rate round and round. The player (player.py) asks it for
what is due; it holds no socket. Sequence numbers and timestamps start at random, as RFC 3550 §5.1
asks.
"""

from __future__ import annotations

import random
import secrets
import struct
from dataclasses import dataclass, field

from camera_simulator.clips import AccessUnit, Clip
from camera_simulator.rtsp.audio import PlayedAudio
from camera_simulator.rtsp.delivery import Delivery
from camera_simulator.rtsp.labels import Labeller
from camera_simulator.rtsp.packets import FramePackets, packetised, sender_report
from camera_simulator.settings import CameraSettings, ReportClock, Timestamps

REPORT_EVERY_S = 5.0
_TROUBLE_AFTER_TICKS = 2 * 90_000
_HOUR_TICKS = 3600 * 90_000
_SET_AHEAD_TICKS = 3 * 90_000
_MAX_BEHIND_FRAMES = 50
"""A session that fell further behind (the machine stood still) skips ahead instead of bursting."""


@dataclass
class Session:
    """Created by SETUP, started by PLAY. Times are of the event loop's clock."""

    clip: Clip
    packets: tuple[FramePackets, ...]
    start_frame: int
    timeout_s: float
    last_alive_s: float
    other_packets: tuple[FramePackets, ...] = ()
    """For cameras that change the size of their pictures."""
    other_clip: Clip | None = None
    labeller: Labeller | None = None
    """Of the camera; asked where its settings say that pictures are labelled."""
    delivery: Delivery | None = None
    ident: str = field(default_factory=lambda: secrets.token_hex(4).upper())
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    sequence: int = field(default_factory=lambda: secrets.randbits(16))
    base_timestamp: int = field(default_factory=lambda: secrets.randbits(32))
    rtp_channel: int = 0
    rtcp_channel: int = 1
    audio_track: PlayedAudio | None = None
    """Set up beside the picture."""
    playing: bool = False
    frames_sent: int = 0
    _started_s: float = 0.0
    _next: int = 0
    _packets_sent: int = 0
    _octets_sent: int = 0
    _report_due_s: float = 0.0
    _audio_units: int = 0
    _reports: int = 0

    def play(self, now_s: float) -> None:
        """Begin, or go on after PAUSE, with the key frame at or before the clip's current place."""
        first = (self.start_frame + self._next) % len(self.packets)
        while not self.packets[first].key:
            first -= 1
        self.start_frame = first
        self.base_timestamp += self._next * self.clip.ticks_per_frame
        self._next, self._started_s = 0, now_s
        self._report_due_s = now_s
        self.playing = True

    @property
    def next_timestamp(self) -> int:
        """Of the moment at which the next frame is shown (RFC 6184 §5.1)."""
        shown = self.clip.shown_at(self.start_frame + self._next) - self.start_frame
        return (self.base_timestamp + shown * self.clip.ticks_per_frame) & 0xFFFFFFFF

    def dead(self, now_s: float, settings: CameraSettings) -> bool:
        """Whether the firmware has given this stream up."""
        life_s = settings.stream_dies_after_s
        return self.playing and life_s > 0 and now_s - self._started_s >= life_s

    def rename(self) -> None:
        """Go on under another id, as cameras do that make one for each answer."""
        self.ident = secrets.token_hex(4).upper()

    def close(self) -> None:
        """Give the ports back that its packets left by."""
        if self.delivery is not None:
            self.delivery.close()

    def expired(self, now_s: float) -> bool:
        return self.timeout_s > 0 and now_s - self.last_alive_s > self.timeout_s

    def due(self, now_s: float, settings: CameraSettings) -> list[bytes]:
        """The frames that this session should have sent by now, stamped, oldest first."""
        latest = int((now_s - self._started_s) * (settings.frame_rate or self.clip.fps))
        if latest - self._next > _MAX_BEHIND_FRAMES:
            self._next = latest
        frames = []
        while self._next <= latest:
            frame = self._frame(settings)
            if self._wanted(frame, settings):
                frames.append(self._stamp(self._labelled(frame, settings), settings))
            self._next += 1
        return frames

    def _frame(self, settings: CameraSettings) -> FramePackets:
        place = (self.start_frame + self._next) % len(self.packets)
        if settings.payloads != "plain":
            return packetised(self._picture(settings), self.clip.codec, settings.payloads)
        if self._is_of_other_clip(place, settings):
            return self.other_packets[place % len(self.other_packets)]
        return self.packets[place]

    def _labelled(self, frame: FramePackets, settings: CameraSettings) -> FramePackets:
        if not settings.labels_pictures or self.labeller is None:
            return frame
        picture = self.labeller.labelled(self._picture(settings), self.clip.codec)
        return packetised(picture, self.clip.codec, settings.payloads)

    def _picture(self, settings: CameraSettings) -> AccessUnit:
        """What `_frame` has in packets."""
        place = (self.start_frame + self._next) % len(self.packets)
        if self._is_of_other_clip(place, settings) and self.other_clip is not None:
            return self.other_clip.frames[place % len(self.other_packets)]
        return self.clip.frames[place]

    def _is_of_other_clip(self, place: int, settings: CameraSettings) -> bool:
        return settings.flips_size and bool(place // self.clip.gop % 2)

    def _wanted(self, frame: FramePackets, settings: CameraSettings) -> bool:
        if settings.freeze or "audio" in settings.media:
            return False
        if settings.media == "no-idr":
            return (self.start_frame + self._next) % len(self.packets) >= self.clip.gop
        return not (settings.media == "p-frames-only" and frame.key)

    def _stamp(self, frame: FramePackets, settings: CameraSettings) -> bytes:
        timestamp = self._told_timestamp(settings.timestamps)
        data = frame.stamped(self.rtp_channel, self.sequence, timestamp, self.ssrc)
        self.sequence = (self.sequence + len(frame.offsets)) & 0xFFFF
        self._packets_sent += len(frame.offsets)
        self._octets_sent += frame.payload_bytes
        return data

    def _told_timestamp(self, how: Timestamps) -> int:
        """What the next frame is stamped with, right or wrong."""
        true, ticks = self.next_timestamp, self._next * self.clip.ticks_per_frame
        late = ticks >= _TROUBLE_AFTER_TICKS
        told = {
            "true": true,
            "jump-back": true - late * _HOUR_TICKS,
            "jump-ahead": true + late * _HOUR_TICKS,
            "set-ahead": true + late * _SET_AHEAD_TICKS,
            "backwards": self.base_timestamp - ticks,
            "constant": self.base_timestamp,
            "random": random.getrandbits(32),
            "wrap": ticks - _TROUBLE_AFTER_TICKS,
            "too-fast": self.base_timestamp + ticks * 5 // 4,
            "milliseconds": self.base_timestamp + ticks // 90,
        }
        return told[how] & 0xFFFFFFFF

    def _told_clock(self, camera_unix_s: float, how: ReportClock) -> float:
        """The wall clock of the next sender report."""
        self._reports += 1
        if how == "steps" and self._reports > 1:
            return camera_unix_s + 86_400
        return {"zero": -2_208_988_800.0, "in-1970": 0.0}.get(how, camera_unix_s)

    def audio(self) -> bytes:
        """Twenty milliseconds of silence by G.711 A-law, on the channel after the picture's."""
        self._audio_units += 1
        packet = struct.pack(
            "!BBHII", 0x80, 8, self._audio_units & 0xFFFF, self._audio_units * 160, 7
        )
        packet += b"\xd5" * 160
        return struct.pack("!sBH", b"$", self.rtcp_channel + 1, len(packet)) + packet

    def report_due(
        self, now_s: float, camera_unix_s: float, settings: CameraSettings
    ) -> bytes | None:
        """A sender report when one is due: the camera's wall clock beside the RTP clock of this
        moment."""
        if now_s < self._report_due_s:
            return None
        self._report_due_s = now_s + REPORT_EVERY_S
        elapsed_90k = int((now_s - self._started_s) * 90_000)
        return sender_report(
            self.rtcp_channel,
            self.ssrc,
            self._told_clock(camera_unix_s, settings.report_clock),
            self.base_timestamp + elapsed_90k,
            self._packets_sent,
            self._octets_sent,
        )
