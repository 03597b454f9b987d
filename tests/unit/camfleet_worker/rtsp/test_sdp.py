# SPDX-License-Identifier: Apache-2.0
"""Session descriptions as cameras write them, and control URLs that never leave the camera."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.audio_unit import AudioCodec
from camfleet_worker.rtsp.audio import offered_audio
from camfleet_worker.rtsp.client import StreamTarget
from camfleet_worker.rtsp.sdp import (
    Description,
    base_path,
    control_path,
    media_base,
    parse_description,
    path_of,
)
from camfleet_worker.rtsp.video import choose_video

H264 = b"""v=0\r
o=- 1 1 IN IP4 192.168.1.88\r
s=Media Presentation\r
a=control:*\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z0LACt3sBEA=,aM4PyA==\r
a=control:trackID=0\r
m=audio 0 RTP/AVP 8\r
a=control:trackID=1\r
"""
H265 = b"""v=0
m=audio 0 RTP/AVP 97
a=rtpmap:97 MPEG4-GENERIC/16000
m=video 0 RTP/AVP 98
a=rtpmap:98 hevc/90000
a=fmtp:98 sprop-vps=QAEM;sprop-sps=QgEB;sprop-pps=RAHB
a=control:rtsp://192.168.1.88:554/stream/track2?x=1
"""


def test_video_control_and_parameter_sets_are_found() -> None:
    description = parse_description(H264)
    video, audio = description.media
    assert description.control == "*"
    assert (video.codec, video.payload_type, video.clock_hz) == (Codec.H264, 96, 90_000)
    assert video.control == "trackID=0"
    assert [unit[0] & 31 for unit in video.parameter_sets] == [7, 8]
    assert audio.codec is None


def test_h265_is_found_behind_audio_and_by_its_other_name() -> None:
    _, video = parse_description(H265).media
    assert video.codec is Codec.H265
    assert [unit[0] >> 1 for unit in video.parameter_sets] == [32, 33, 34]


@pytest.mark.parametrize(
    "fmtp",
    [
        "sprop-parameter-sets=Z0LACt3sBEA,aM4PyA",
        "SPROP-PARAMETER-SETS = Z0LACt3sBEA= , aM4PyA== ;",
        "sprop-parameter-sets=AAAAAWdCwArd7ARA,AAAAAWjOD8g=",
        "sprop-parameter-sets=Z0LACt3sBEA=,!!!,,aM4PyA==",
    ],
    ids=["no-padding", "blanks-and-case", "start-codes", "junk-between"],
)
def test_parameter_sets_are_read_as_cameras_write_them(fmtp: str) -> None:
    body = f"m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 {fmtp}\n"
    (video,) = parse_description(body.encode()).media
    assert [unit.hex() for unit in video.parameter_sets] == ["6742c00addec0440", "68ce0fc8"]


def test_an_offer_is_described_in_printable_text() -> None:
    body = b"m=video 0 RTP/AVP 26\na=rtpmap:26 JP\x1b[31mEG/90000\nm=audio 0 RTP/AVP 0\n"
    offered = parse_description(body).offered()
    assert offered == "JP[31MEG video, PCMU audio"
    assert offered.isprintable()


@pytest.mark.parametrize(
    ("candidates", "base"),
    [
        (["rtsp://10.0.0.1:554/a/b/", None, "/x"], "/a/b/"),
        ([None, "rtsp://10.0.0.1/loc", "/x"], "/loc"),
        ([None, None, "/x?channel=1"], "/x?channel=1"),
        (["192.168.1.5:554/a/", None, "/x"], "/a/"),
        (["rtsp://[broken/", "  ", "/x"], "/x"),
        (["rtsp://user:secret@10.0.0.1/a", None, "/x"], "/a"),
        ([None, None, None], "/"),
    ],
)
def test_the_base_is_the_first_that_has_a_path(candidates: list[str | None], base: str) -> None:
    assert base_path(candidates) == base


@pytest.mark.parametrize(
    ("base", "control", "path"),
    [
        ("/a/", "trackID=0", "/a/trackID=0"),
        ("/a", "trackID=0", "/a/trackID=0"),
        ("/a?channel=1", "trackID=0", "/a?channel=1/trackID=0"),
        ("/a/", "*", "/a/"),
        ("/a/", "", "/a/"),
        ("/a/", "/b/track", "/b/track"),
        ("/a/", "rtsp://10.9.9.9/b/track?x=1", "/b/track?x=1"),
        ("/a", "?ctype=video", "/a?ctype=video"),
        ("/a/", "?ctype=video", "/a/?ctype=video"),
    ],
)
def test_controls_are_resolved_as_players_do(base: str, control: str, path: str) -> None:
    assert control_path(base, control) == path


@pytest.mark.parametrize(
    ("stated", "control", "base"),
    [
        (False, "rtsp://10.9.9.9/real/live/", "/real/live/"),
        (True, "rtsp://10.9.9.9/real/live/", "/asked"),
        (False, "*", "/asked"),
        (False, "", "/asked"),
        (False, "track", "/asked"),
    ],
)
def test_an_absolute_control_of_the_session_is_the_base_where_none_is_stated(
    stated: bool, control: str, base: str
) -> None:
    assert media_base("/asked", stated, Description(control)) == base


VIDEO = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:track1\n"


@pytest.mark.parametrize(
    "media",
    [
        "m=application/TP-LINK 0 RTP/AVP smart/1/90000",
        "m=application 0 RTP/AVP",
        "m=application",
        "m=",
        "m=video 0 RTP/AVP x",
        "m=audio 0 RTP/AVP -1",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_medium_that_cannot_be_read_takes_nothing_else_with_it(media: str, first: bool) -> None:
    other = f"{media}\na=rtpmap:96 H265/90000\na=control:track3\na=sendonly\n"
    text = f"v=0\n{other}{VIDEO}" if first else f"v=0\n{VIDEO}{other}"
    described = parse_description(text.encode())
    assert described.control == ""
    (video,) = described.media
    assert (video.encoding, video.control, video.send_only) == ("H264", "track1", False)


def test_what_is_skipped_of_a_description_is_handed_back() -> None:
    description = parse_description(
        b"v=0\r\ns=-\r\nnonsense\r\n\r\n"
        b"m=application/X 0 RTP/AVP smart\r\na=rtpmap:95 X/1\r\n"
        b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:97 packetization-mode=1\r\n"
        b"a=x-dimensions:1,2\r\n"
    )
    assert description.skipped_media == ["m=application/X 0 RTP/AVP smart"]
    assert description.skipped_lines == ["nonsense", "a=fmtp:97 packetization-mode=1"]


def test_of_several_payload_types_each_has_its_own_attributes() -> None:
    described = parse_description(
        b"m=video 0 RTP/AVP 35 96 97\na=rtpmap:35 X-VENDOR/90000\na=rtpmap:96 H265/90000\n"
        b"a=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=1\na=control:track1\n"
    )
    assert [one.encoding for one in described.media] == ["X-VENDOR", "H265", "H264"]
    assert {one.control for one in described.media} == {"track1"}
    section, codec = choose_video(described, (Codec.H264,))
    assert (section.payload_type, codec) == (97, Codec.H264)
    assert section.parameters == {"packetization-mode": "1"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_control_leads_to_another_host(base: str, control: str) -> None:
    target = StreamTarget("camera.example", 1554, "/")
    url = target.url(control_path(base_path([base]), control))
    assert url.startswith("rtsp://camera.example:1554/")


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("rtsp://192.168.1.88/live?a=1&b=2", "rtsp://[fe80::1]:8554/live?a=1&b=2"),
        ("rtsp://admin:secret@127.0.0.1:554/", "rtsp://[fe80::1]:8554/"),
        ("/live", "rtsp://[fe80::1]:8554/live"),
        ("", "rtsp://[fe80::1]:8554/"),
        ("rtsp://camera/main stream", "rtsp://[fe80::1]:8554/main%20stream"),
    ],
)
def test_a_target_keeps_the_path_and_takes_the_declared_address(uri: str, url: str) -> None:
    assert StreamTarget.at("fe80::1", 8554, uri).url() == url


@given(st.binary(max_size=300))
def test_no_description_raises(body: bytes) -> None:
    description = parse_description(b"m=video 0 RTP/AVP 96\na=" + body)
    assert description.offered().isprintable()
    for section in description.media:
        assert all(section.parameter_sets)


@given(st.text(max_size=80))
def test_no_url_raises(url: str) -> None:
    path_of(url)


AUDIO = """v=0
a=control:*
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=control:trackID=0
{audio}
"""
AAC = """m=audio 0 RTP/AVP 97
a=rtpmap:97 mpeg4-generic/16000/2
a=fmtp:97 streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1410
a=control:trackID=1"""
BACK_CHANNEL = "m=audio 0 RTP/AVP 0\na=control:trackID=9\na=sendonly\n"


@pytest.mark.parametrize(
    ("audio", "codec", "clock_hz", "channels"),
    [
        (AAC, AudioCodec.AAC, 16_000, 2),
        ("m=audio 0 RTP/AVP 8\na=control:a", AudioCodec.PCMA, 8000, 1),
        ("m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/8000/1\na=control:a", AudioCodec.PCMU, 8000, 1),
        ("m=audio 0 RTP/AVP 99\na=rtpmap:99 opus/48000/2\na=control:a", AudioCodec.OPUS, 48_000, 2),
        (f"{BACK_CHANNEL}{AAC}", AudioCodec.AAC, 16_000, 2),
        ("m=audio 0 RTP/AVP 4\na=control:b\n" + AAC, AudioCodec.AAC, 16_000, 2),
    ],
    ids=["aac", "static", "pcmu", "opus", "behind-a-back-channel", "behind-another-codec"],
)
def test_audio_that_we_take_is_found(
    audio: str, codec: AudioCodec, clock_hz: int, channels: int
) -> None:
    description = parse_description(AUDIO.format(audio=audio).encode())
    found = offered_audio(description, description.media[0])
    assert found is not None
    taken = found.payload.format
    assert (taken.codec, taken.clock_hz, taken.channels) == (codec, clock_hz, channels)


@pytest.mark.parametrize(
    "audio",
    [
        BACK_CHANNEL,
        "m=audio 0 RTP/AVP 8",
        "m=audio 0 RTP/AVP 8\na=control:trackID=0",
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000\na=control:a",
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 PCMA/\u00b2\na=control:a",
        "m=application 0 RTP/AVP 8\na=control:a",
    ],
    ids=["back-channel", "no-control", "control-of-the-video", "latm", "no-number", "metadata"],
)
def test_audio_that_we_do_not_take_is_left_alone(audio: str) -> None:
    description = parse_description(AUDIO.format(audio=audio).encode())
    assert offered_audio(description, description.media[0]) is None


def test_a_camera_that_calls_all_its_media_sendonly_has_audio() -> None:
    text = AUDIO.format(audio=AAC).replace("a=control:track", "a=sendonly\na=control:track")
    description = parse_description(text.encode())
    assert offered_audio(description, description.media[0]) is not None
