# SPDX-License-Identifier: Apache-2.0
"""Audio as packets: our own depacketiser, which cameras have proven, takes them apart again."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat, AudioUnit
from camfleet_worker.relay.rtsp.audio import AudioPacketiser, describe_audio
from camfleet_worker.relay.rtsp.packets import MAX_PAYLOAD
from camfleet_worker.rtp.audio import AudioFrame, audio_depacketiser
from camfleet_worker.rtp.audio_description import audio_payload

FORMATS = [
    AudioFormat(AudioCodec.AAC, 16_000, 1, bytes.fromhex("1408")),
    AudioFormat(AudioCodec.PCMU, 8_000, 1),
    AudioFormat(AudioCodec.PCMA, 8_000, 2),
    AudioFormat(AudioCodec.OPUS, 48_000, 2),
]


def described(audio: AudioFormat) -> AudioFormat:
    """What a receiver reads out of our description."""
    lines = dict(line.split(":", 1) for line in describe_audio(audio, "t")[1:] if ":" in line)
    name, clock, *channels = lines["a=rtpmap"].split(" ")[1].split("/")
    fmtp = lines.get("a=fmtp", " ").split(" ", 1)[1]
    pairs = (pair.partition("=") for pair in fmtp.split(";"))
    parameters = {name.lower(): value for name, _, value in pairs}
    payload = audio_payload(name.upper(), int(clock), int(*channels or ["1"]), parameters)
    assert payload is not None
    return payload.format


def received(audio: AudioFormat, data: bytes, first_sequence: int) -> list[AudioFrame]:
    parameters = {"mode": "AAC-hbr", "config": audio.config.hex()}
    names = {AudioCodec.AAC: "MPEG4-GENERIC"}
    name = names.get(audio.codec, audio.codec.value)
    payload = audio_payload(name, audio.clock_hz, audio.channels, parameters)
    assert payload is not None
    depacketiser = audio_depacketiser(payload)
    view, at, sequence = memoryview(data), 0, first_sequence
    while at < len(data):
        dollar, channel, size, _, kind, number, time, ssrc = struct.unpack_from(
            "!BBHBBHII", data, at
        )
        assert (dollar, channel, number, ssrc) == (0x24, 2, sequence & 0xFFFF, 0xBEEF)
        assert size - 12 <= MAX_PAYLOAD
        depacketiser.push(view, at + 16, at + 4 + size, time, kind > 0x7F, lost=False)
        sequence += 1
        at += 4 + size
    assert depacketiser.damaged == 0
    return depacketiser.frames


@given(
    st.sampled_from(FORMATS),
    st.lists(st.binary(min_size=1, max_size=40).map(lambda some: some * 100), max_size=4),
    st.integers(0, 0xFFFF),
    st.integers(0, 1 << 34),
)
def test_audio_comes_out_as_it_went_in_and_numbers_have_no_gap(
    audio: AudioFormat, units: list[bytes], first_sequence: int, pts: int
) -> None:
    if audio.codec is AudioCodec.OPUS:
        units = [unit[:MAX_PAYLOAD] for unit in units]
    packetiser = AudioPacketiser(audio, 0xBEEF, first_sequence, 777)
    parts: list[bytes | memoryview] = []
    for number, unit in enumerate(units):
        assert packetiser.append(AudioUnit(unit, pts + number * 90_000, 0.0, audio), parts)
    frames = received(audio, b"".join(parts), first_sequence)
    assert b"".join(frame.data for frame in frames) == b"".join(units)
    if units:
        expected = round(pts * audio.clock_hz / 90_000) + 777
        assert abs(frames[0].timestamp - expected % (1 << 32)) <= 1
    assert described(audio) == audio


def test_a_unit_too_large_for_aac_is_not_sent() -> None:
    parts: list[bytes | memoryview] = []
    unit = AudioUnit(bytes(1 << 13), 0, 0.0, FORMATS[0])
    assert not AudioPacketiser(FORMATS[0], 1, 0, 0).append(unit, parts)
    assert parts == []


def test_its_sender_report_means_the_clock_of_the_pictures() -> None:
    """RFC 3550 section 6.4.1: the same instant, on the clock of the audio."""
    report = AudioPacketiser(FORMATS[1], 0xBEEF, 0, 100).sender_report(180_000, 1.5)
    dollar, channel, _, _, kind, _, ssrc, ntp_s, fraction, rtp, packets, octets = struct.unpack(
        "!BBHBBHIIIIII", report
    )
    assert (dollar, channel, kind, ssrc) == (0x24, 3, 200, 0xBEEF)
    assert (ntp_s, fraction, rtp) == (2_208_988_801, 1 << 31, 16_100)
    assert (packets, octets) == (0, 0)
