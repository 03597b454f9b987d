# SPDX-License-Identifier: Apache-2.0
"""What a description says of a track of audio, and whether it can be taken. Pure.

The handshake asks `audio_payload`. MP4A-LATM (RFC 6416) carries its configuration in band, and
G.726 and G.722 have no place in the containers that we write: they are not taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from camfleet_worker.base.whole_number import whole_number
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.rtp.audio import AacPacking, AudioPayload
from camfleet_worker.rtp.bits import BitReader, BitsExhausted

_PACKET_IS_UNIT = {
    "PCMU": AudioCodec.PCMU,
    "PCMA": AudioCodec.PCMA,
    "OPUS": AudioCodec.OPUS,
}
_OPUS_CLOCK_HZ = 48_000
"""RFC 7587 section 4.1, whatever was sampled."""
_MOST_CHANNELS = 8
_CLOCKS_HZ = range(1, 384_001)

# ISO/IEC 14496-3 table 1.18; index 15 is followed by the frequency itself.
_FREQUENCIES_HZ = (
    *(96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000),
    *(22_050, 16_000, 12_000, 11_025, 8_000, 7_350),
)
_FREQUENCY_FOLLOWS = 15
_GENERAL_AUDIO = (1, 2, 3, 4)
"""Object types AAC Main, LC, SSR and LTP (table 1.17): 1024 or 960 samples a unit."""
_WITH_EXTENSION = (5, 29)
"""SBR and PS: the object type of the core comes behind (section 1.6.2.1)."""

# RFC 3640 sections 3.3.5 and 3.3.6: bits of size, index and index delta by mode.
_HIGH_BIT_RATE = (13, 3, 3)
_MODES = {"aac-hbr": _HIGH_BIT_RATE, "aac-lbr": (6, 2, 2)}
_WIDTHS = ("sizelength", "indexlength", "indexdeltalength")
_UNREAD_FIELDS = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
)
"""RFC 3640 section 4.1: fields that AAC modes do not have."""
_MOST_BITS = 16
_DIGITS = 6
"""Of a parameter of the format."""


def audio_payload(
    encoding: str, clock_hz: int, channels: int, parameters: Mapping[str, str]
) -> AudioPayload | None:
    """What a=rtpmap and a=fmtp describe; None where it is nothing that we take.

    `encoding` in upper case, names of `parameters` in lower case.
    """
    if encoding == "MPEG4-GENERIC":
        return _aac_payload(clock_hz, channels, parameters)
    codec = _PACKET_IS_UNIT.get(encoding)
    # Opus is announced as opus/48000/2 whatever it holds (RFC 7587 section 7): a decoder that
    # gives two channels plays both kinds, one that gives one would lose a side.
    if codec is None or clock_hz not in _CLOCKS_HZ or not 1 <= channels <= _MOST_CHANNELS:
        return None
    if codec is AudioCodec.OPUS and clock_hz != _OPUS_CLOCK_HZ:
        return None
    return AudioPayload(AudioFormat(codec, clock_hz, channels))


def _aac_payload(
    clock_hz: int, channels: int, parameters: Mapping[str, str]
) -> AudioPayload | None:
    widths = _widths(parameters)
    config = _octets(parameters.get("config", ""))
    if widths is None or not config or clock_hz not in _CLOCKS_HZ:
        return None
    try:
        core_hz, samples, configured_channels = _read_config(config)
    except BitsExhausted:
        return None
    channels = configured_channels or channels
    if not core_hz or not 1 <= channels <= _MOST_CHANNELS:
        return None
    # The RTP clock may count the samples behind SBR, which doubles those of the core.
    ticks = _number(parameters.get("constantduration", "")) or samples * clock_hz // core_hz
    audio = AudioFormat(AudioCodec.AAC, clock_hz, channels, config)
    return AudioPayload(audio, AacPacking(*widths, ticks))


def _widths(parameters: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Bits of size, index and index delta; None for a mode with fields that AAC does not have."""
    if any(_number(parameters.get(name, "")) for name in _UNREAD_FIELDS):
        return None
    mode = parameters.get("mode", "aac-hbr").lower().replace("_", "-")
    stated = all(name in parameters for name in _WIDTHS) and not mode.startswith("celp")
    if mode not in _MODES and not stated:
        return None  # widths that are all stated say enough, whatever the mode is called
    size, index, delta = (
        _number(parameters[name]) if name in parameters else usual
        for name, usual in zip(_WIDTHS, _MODES.get(mode, _HIGH_BIT_RATE), strict=True)
    )
    fits = 1 <= size <= _MOST_BITS and index <= _MOST_BITS and delta <= _MOST_BITS
    return (size, index, delta) if fits else None


def _read_config(config: bytes) -> tuple[int, int, int]:
    """Sampling frequency of the core, samples of it a unit, channels (0: stated elsewhere).

    ISO/IEC 14496-3 sections 1.6.2.1 and 4.4.1. A frequency of 0 is an object type that is not
    plain AAC.
    """
    reader = BitReader(config)
    kind = _object_type(reader)
    core_hz = _frequency(reader)
    channels = reader.bits(4)
    if kind in _WITH_EXTENSION:
        _frequency(reader)
        kind = _object_type(reader)
    if kind not in _GENERAL_AUDIO:
        return 0, 0, 0
    samples = 960 if reader.flag() else 1024
    return core_hz, samples, _MOST_CHANNELS if channels == 7 else channels


def _object_type(reader: BitReader) -> int:
    kind = reader.bits(5)
    return 32 + reader.bits(6) if kind == 31 else kind


def _frequency(reader: BitReader) -> int:
    index = reader.bits(4)
    if index == _FREQUENCY_FOLLOWS:
        return reader.bits(24)
    return _FREQUENCIES_HZ[index] if index < len(_FREQUENCIES_HZ) else 0


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _number(text: str) -> int:
    """A parameter's value; 0 where it is none."""
    return whole_number(text, _DIGITS) or 0
