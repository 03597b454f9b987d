# SPDX-License-Identifier: Apache-2.0
"""Audio as RTP packets in interleaved frames: its description, its packets, its sender reports.

Pure; called by the RTSP publisher. AAC by RFC 3640 in mode AAC-hbr with one unit a packet, or in
fragments; G.711 by RFC 3551 section 4.5.14; Opus by RFC 7587. Beside packets.py, with an SSRC
and sequence numbers of its own and the same clock.

Compiled by mypyc (workers/compile_media.py): no attribute may be added from outside, none may be of
another type than declared, and nothing may be set on the class by a test.
"""

from __future__ import annotations

from collections.abc import Iterator

from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.media_types.codec_outputs import AUDIO_OUTPUTS
from camfleet_worker.relay.rtsp.packets import MAX_PAYLOAD, RTP_HEAD, RTP_HEAD_BYTES, sender_report
from camfleet_worker.rtsp.headers import InterleavedIds

AUDIO_PAYLOAD_TYPE = 97
AUDIO_IDS = InterleavedIds(2, 3)
_RTP_ID, _RTCP_ID = AUDIO_IDS.rtp, AUDIO_IDS.rtcp
_CLOCK_90K = 90_000
_MARKER = 0x80
_AAC_MOST_BYTES = (1 << 13) - 1
"""RFC 3640 section 3.3.6: the size has 13 bits."""
_AAC_HEAD_BYTES = 4


def describe_audio(audio: AudioFormat, control: str) -> tuple[str, ...]:
    """The lines of the SDP's media section."""
    number = AUDIO_PAYLOAD_TYPE
    channels = f"/{audio.channels}" if audio.channels > 1 else ""
    encoding = AUDIO_OUTPUTS[audio.codec].rtsp_encoding
    lines = [
        f"m=audio 0 RTP/AVP {number}",
        f"a=rtpmap:{number} {encoding}/{audio.clock_hz}{channels}",
    ]
    if audio.codec is AudioCodec.AAC:
        lines.append(
            f"a=fmtp:{number} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;"
            f"indexlength=3;indexdeltalength=3;config={audio.config.hex()}"
        )
    return (*lines, f"a=control:{control}")


class AudioPacketiser:
    """The RTP side of one announced track of audio."""

    def __init__(
        self, audio: AudioFormat, ssrc: int, first_sequence: int, timestamp_offset: int
    ) -> None:
        self.format = audio
        self.packets = 0
        self.octets = 0
        self._ssrc = ssrc
        self._sequence = first_sequence & 0xFFFF
        self._offset = timestamp_offset

    def append(self, unit: AudioUnit, out: list[bytes | memoryview]) -> bool:
        """Append the packets of one unit; False for one that no packet can hold."""
        codec = self.format.codec
        if codec is AudioCodec.AAC and len(unit.data) > _AAC_MOST_BYTES:
            return False
        at = self._rtp_time(unit.pts_90k)
        if codec is AudioCodec.AAC:
            for payload, last in _aac_payloads(unit.data):
                self._emit(payload, at, last, out)
        elif codec is AudioCodec.OPUS:
            self._emit(unit.data, at, False, out)
        else:
            # One octet is one sample, of each channel in turn: cut anywhere between samples.
            channels = self.format.channels
            step = MAX_PAYLOAD - MAX_PAYLOAD % channels
            for begin in range(0, len(unit.data), step):
                self._emit(unit.data[begin : begin + step], at + begin // channels, False, out)
        return True

    def sender_report(self, pts_90k: int, taken_at: float) -> bytes:
        """An interleaved frame that says when the audio of this time was taken, in UTC."""
        return sender_report(
            _RTCP_ID,
            self._ssrc,
            self._rtp_time(pts_90k),
            taken_at,
            self.packets,
            self.octets,
        )

    def _rtp_time(self, pts_90k: int) -> int:
        # Rounded: a time that was scaled up and cut down again must be the one it was.
        scaled = (pts_90k * self.format.clock_hz + _CLOCK_90K // 2) // _CLOCK_90K
        return scaled + self._offset

    def _emit(
        self, payload: bytes, timestamp: int, marker: bool, out: list[bytes | memoryview]
    ) -> None:
        out.append(
            RTP_HEAD.pack(
                0x24,
                _RTP_ID,
                RTP_HEAD_BYTES + len(payload),
                0x80,
                AUDIO_PAYLOAD_TYPE | (_MARKER if marker else 0),
                self._sequence,
                timestamp & 0xFFFFFFFF,
                self._ssrc,
            )
        )
        out.append(payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)


def _aac_payloads(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """RFC 3640 section 3.2.3: a fragment names the size of the whole, the last has the marker."""
    head = (16).to_bytes(2, "big") + (len(data) << 3).to_bytes(2, "big")
    step = MAX_PAYLOAD - _AAC_HEAD_BYTES
    for begin in range(0, len(data), step):
        yield head + data[begin : begin + step], begin + step >= len(data)
