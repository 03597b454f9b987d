# SPDX-License-Identifier: Apache-2.0
"""Which audio of a description can be taken, and how it is packed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.rtp.audio import (
    AacPacking,
    AudioPayload,
    WholePackets,
    audio_depacketiser,
)
from camfleet_worker.rtp.audio_description import audio_payload

HBR = {
    "mode": "AAC-hbr",
    "sizelength": "13",
    "indexlength": "3",
    "indexdeltalength": "3",
    "config": "1408",
}
PACKING = AacPacking(13, 3, 3, 1024)


@pytest.mark.parametrize(
    ("encoding", "clock_hz", "channels", "codec"),
    [
        ("PCMU", 8000, 1, AudioCodec.PCMU),
        ("PCMA", 8000, 1, AudioCodec.PCMA),
        ("PCMA", 16_000, 2, AudioCodec.PCMA),
        ("OPUS", 48_000, 2, AudioCodec.OPUS),
    ],
)
def test_codecs_whose_packets_are_units(
    encoding: str, clock_hz: int, channels: int, codec: AudioCodec
) -> None:
    payload = audio_payload(encoding, clock_hz, channels, {})
    assert payload == AudioPayload(AudioFormat(codec, clock_hz, channels))
    assert isinstance(audio_depacketiser(payload), WholePackets)


@pytest.mark.parametrize(
    ("config", "clock_hz", "channels", "ticks"),
    [
        ("1408", 16_000, 1, 1024),
        ("1190", 48_000, 2, 1024),
        ("140C", 16_000, 1, 960),
        ("2B8A0800", 44_100, 1, 2048),
        ("EB8A0800", 44_100, 1, 2048),
        ("2B8A0800", 22_050, 1, 1024),
        ("17801F4008", 16_000, 1, 1024),
        ("1438", 16_000, 8, 1024),
        ("1400", 16_000, 6, 1024),
    ],
    ids=[
        "mono", "stereo", "short-units", "sbr", "ps", "sbr-by-the-core's-clock",
        "explicit-frequency", "seven-point-one", "channels-told-elsewhere",
    ],
)  # fmt: skip
def test_the_configuration_of_aac_has_channels_and_unit_duration(
    config: str, clock_hz: int, channels: int, ticks: int
) -> None:
    payload = audio_payload("MPEG4-GENERIC", clock_hz, 6, HBR | {"config": config})
    assert payload is not None
    assert payload.format == AudioFormat(AudioCodec.AAC, clock_hz, channels, bytes.fromhex(config))
    assert payload.packing == AacPacking(13, 3, 3, ticks)


@pytest.mark.parametrize(
    ("changes", "packing"),
    [
        ({"mode": "aac-HBR"}, AacPacking(13, 3, 3, 1024)),
        ({"mode": "AAC-lbr", "sizelength": "6", "indexlength": "2", "indexdeltalength": "2"},
         AacPacking(6, 2, 2, 1024)),
        ({"constantduration": "512"}, AacPacking(13, 3, 3, 512)),
        ({"auxiliarydatasizelength": "0"}, AacPacking(13, 3, 3, 1024)),
        ({"mode": "AAC_hbr"}, AacPacking(13, 3, 3, 1024)),
        ({"mode": "generic", "sizelength": "16"}, AacPacking(16, 3, 3, 1024)),
    ],
)  # fmt: skip
def test_packing_is_read_as_it_is_written(changes: dict[str, str], packing: AacPacking) -> None:
    payload = audio_payload("MPEG4-GENERIC", 16_000, 1, HBR | changes)
    assert payload is not None
    assert payload.packing == packing


def test_widths_that_are_not_written_are_those_of_the_mode() -> None:
    payload = audio_payload("MPEG4-GENERIC", 16_000, 1, {"config": "1408"})
    assert payload is not None
    assert payload.packing == PACKING


@pytest.mark.parametrize(
    ("encoding", "clock_hz", "channels", "parameters"),
    [
        ("MP4A-LATM", 16_000, 1, {"config": "400028103FC0"}),
        ("G726-32", 8000, 1, {}),
        ("", 0, 1, {}),
        ("PCMA", 0, 1, {}),
        ("PCMA", 8000, 0, {}),
        ("PCMA", 8000, 99, {}),
        ("OPUS", 16_000, 2, {}),
        ("MPEG4-GENERIC", 0, 1, HBR),
        ("MPEG4-GENERIC", 16_000, 1, {}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"config": "14"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"config": "xyz"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"config": "BC08"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"config": "1688"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"config": "1780000008"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"sizelength": "0"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"sizelength": "\u00b2"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"indexlength": "40"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"ctsdeltalength": "16"}),
        ("MPEG4-GENERIC", 16_000, 1, HBR | {"mode": "CELP-cbr"}),
    ],
)
def test_unsupported_audio_is_refused(
    encoding: str, clock_hz: int, channels: int, parameters: Mapping[str, str]
) -> None:
    assert audio_payload(encoding, clock_hz, channels, parameters) is None


@given(
    st.sampled_from(["MPEG4-GENERIC", "PCMA", "OPUS"]) | st.text(max_size=8),
    st.integers(0, 999_999_999),
    st.integers(0, 999),
    st.dictionaries(
        st.sampled_from([*HBR, "constantduration"]),
        st.text(max_size=12) | st.binary(max_size=8).map(bytes.hex) | st.just("AAC-hbr"),
    ),
)
def test_no_description_breaks_it(
    encoding: str, clock_hz: int, channels: int, parameters: dict[str, str]
) -> None:
    payload = audio_payload(encoding, clock_hz, channels, parameters)
    if payload is not None:
        packet = memoryview(bytes(range(64)))
        audio_depacketiser(payload).push(packet, 0, len(packet), 0, True, False)
