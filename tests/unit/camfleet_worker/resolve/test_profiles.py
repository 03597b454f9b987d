# SPDX-License-Identifier: Apache-2.0
"""Which stream is taken, what is said about it, and what is said when there is none."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import LearnedStatus, VideoSource
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import VideoLimits
from camfleet_worker.base.errors import IngestError
from camfleet_worker.resolve.profiles import (
    Choice,
    MediaProfile,
    Offer,
    codec_name,
    deviations,
    pick_stream,
)

FIRST = VideoSource(channel=1)
LIMITS = VideoLimits()
MAIN, SUB = StreamRole.MAIN, StreamRole.SUB


def stream(
    token: str, size: str = "1280x720", codec: str = "H264", source: str = "v1", fps: int = 25
) -> MediaProfile:
    width, height = (int(side) for side in size.split("x"))
    return MediaProfile(token, source, codec, width, height, fps, gop=50, bitrate_kbps=2000)


def offer(*profiles: MediaProfile, sources: tuple[str, ...] = ()) -> Offer:
    return Offer(sources, profiles)


def error_of(
    offered: Offer, source: VideoSource = FIRST, limits: VideoLimits = LIMITS
) -> IngestError:
    with pytest.raises(IngestError) as caught:
        pick_stream(offered, source, limits, MAIN)
    assert caught.value.condition is ConditionType.ELIGIBLE
    return caught.value


CAMERA = offer(
    stream("small", "640x360"), stream("large", "1920x1080"), stream("medium", "1280x720")
)


def test_main_is_the_largest_stream_whatever_the_order() -> None:
    assert pick_stream(CAMERA, FIRST, LIMITS, MAIN).profile.token == "large"


def test_sub_is_the_smallest_stream_whatever_the_order() -> None:
    assert pick_stream(CAMERA, FIRST, LIMITS, SUB).profile.token == "small"


def test_a_stream_within_the_limits_goes_before_a_larger_one_outside() -> None:
    full_hd = VideoLimits(max_width=1920, max_height=1080)
    both = offer(stream("4k", "3840x2160"), stream("hd", "1920x1080"))
    assert pick_stream(both, FIRST, full_hd, MAIN) == Choice(stream("hd", "1920x1080"), ())


def test_a_stream_outside_the_limits_is_taken_and_reported_when_there_is_no_other() -> None:
    full_hd = VideoLimits(max_width=1920, max_height=1080)
    choice = pick_stream(offer(stream("4k", "3840x2160")), FIRST, full_hd, MAIN)
    assert choice.deviations == ("Resolution 3840x2160 is above 1920x1080",)


def test_among_equal_sizes_the_one_that_conforms_is_taken() -> None:
    slow_first = offer(stream("slow", fps=5), stream("right", fps=25))
    assert pick_stream(slow_first, FIRST, LIMITS, MAIN).profile.token == "right"


def test_another_codec_is_never_taken_and_the_message_names_both_sides() -> None:
    error = error_of(
        offer(stream("a", codec="JPEG"), stream("b", "640x480", codec="MPEG4")),
        limits=VideoLimits(codecs=[VideoCodec.H264]),
    )
    assert error.reason is Reason.NO_ALLOWED_STREAM
    assert error.detail == (
        "Channel 1 offers JPEG 1280x720 and MPEG4 640x480; the technical profile allows H264"
    )


def test_a_profile_without_encoder_is_named_as_such() -> None:
    error = error_of(
        offer(MediaProfile("p", "v1", "")), limits=VideoLimits(codecs=[VideoCodec.H264])
    )
    assert error.detail == "Channel 1 offers no video encoder; the technical profile allows H264"


def test_a_profile_without_encoder_may_be_h265_and_is_taken_where_nothing_else_is() -> None:
    hidden, jpeg = MediaProfile("p1", "v1", ""), MediaProfile("p2", "v1", "JPEG", 640, 480)
    assert pick_stream(offer(jpeg, hidden), FIRST, LIMITS, MAIN).profile == hidden
    named = MediaProfile("p3", "v1", "H264", 640, 360)
    assert pick_stream(offer(hidden, named), FIRST, LIMITS, MAIN).profile == named


@pytest.mark.parametrize(
    ("said", "name"),
    [("H264", "H264"), ("h.265", "H265"), (" HEVC ", "H265"), ("AVC", "H264"), ("JPEG", "JPEG")],
)
def test_a_codec_has_one_name(said: str, name: str) -> None:
    assert codec_name(said) == name


def test_channels_count_in_the_order_of_the_video_sources_not_of_the_profiles() -> None:
    recorder = offer(
        stream("p3", source="v3"),
        stream("p1", source="v1"),
        stream("p2", source="v2"),
        sources=("v1", "v2", "v3"),
    )
    picked = [
        pick_stream(recorder, VideoSource(channel=n), LIMITS, MAIN).profile.token for n in (1, 2, 3)
    ]
    assert picked == ["p1", "p2", "p3"]


def test_without_a_list_of_sources_channels_are_the_sources_of_the_profiles() -> None:
    recorder = offer(stream("a", source="x"), stream("b", source="x"), stream("c", source="y"))
    assert pick_stream(recorder, VideoSource(channel=2), LIMITS, MAIN).profile.token == "c"


def test_without_a_list_of_sources_channels_count_by_the_numbers_in_their_tokens() -> None:
    recorder = offer(*(stream(f"p{n}", source=f"v{n}") for n in (10, 2, 1)))
    assert recorder.channels == ("v1", "v2", "v10")


TWINS = [
    MediaProfile("p9", "v1", "H264", 1280, 720, encoder_token="e2", name="b"),
    MediaProfile("p7", "v1", "H264", 1280, 720, encoder_token="e2", name="a"),
    MediaProfile("p8", "v1", "H264", 1280, 720, encoder_token="e10", name="a"),
    MediaProfile("p6", "v1", "H265", 1280, 720, encoder_token="e1", name="a"),
]


def twin(learned: LearnedStatus | None = None, but: str = "") -> str:
    """The token of the twin that is picked, whatever their order."""
    offered = [profile for profile in TWINS if profile.token != but]
    found = {
        pick_stream(offer(*order), FIRST, LIMITS, MAIN, learned).profile.token
        for order in permutations(offered)
    }
    assert len(found) == 1
    return found.pop()


def test_among_equals_codec_encoder_name_and_token_decide_in_this_order() -> None:
    assert twin() == "p7"
    assert twin(but="p7") == "p9"


def test_among_equals_the_encoder_that_was_picked_is_picked_again() -> None:
    assert twin(LearnedStatus(encoder_token="e10", profile_token="gone")) == "p8"
    assert twin(LearnedStatus(encoder_token="e1")) == "p6"


def test_of_profiles_with_one_encoder_the_one_that_was_picked_is_picked_again() -> None:
    assert twin(LearnedStatus(encoder_token="e2", profile_token="p9")) == "p9"
    assert twin(LearnedStatus(profile_token="p8")) == "p8"  # learnt before encoders were


def test_what_was_picked_before_gives_way_to_what_fits_better() -> None:
    learned = LearnedStatus(encoder_token="e2", profile_token="p7")
    better = stream("large", "1920x1080")
    assert pick_stream(offer(*TWINS, better), FIRST, LIMITS, MAIN, learned).profile == better


@pytest.mark.parametrize(
    ("learned", "token"),
    [
        (LearnedStatus(video_source_token="v2", channel=1), "v2"),
        (LearnedStatus(video_source_token="v2", channel=2), "v1"),
        (LearnedStatus(video_source_token="v2"), "v1"),
        (LearnedStatus(video_source_token="gone", channel=1), "v1"),
    ],
)
def test_a_channel_stays_its_video_source_while_the_device_has_it(
    learned: LearnedStatus, token: str
) -> None:
    recorder = offer(stream("a", source="v1"), stream("b", source="v2"), sources=("v1", "v2"))
    assert pick_stream(recorder, FIRST, LIMITS, MAIN, learned).profile.source_token == token


def test_a_source_that_is_declared_by_its_token_is_not_the_one_from_before() -> None:
    recorder = offer(stream("a", source="v1"), stream("b", source="v2"))
    learned = LearnedStatus(video_source_token="v2", channel=1)
    source = VideoSource(video_source_token="v1")
    assert pick_stream(recorder, source, LIMITS, MAIN, learned).profile.token == "a"


def test_a_channel_that_the_device_does_not_have_is_named_with_how_many_it_has() -> None:
    error = error_of(offer(stream("p")), VideoSource(channel=5))
    assert error.reason is Reason.CHANNEL_NOT_FOUND
    assert error.detail == "The device has no channel 5: it has 1 channel"


def test_a_channel_without_a_camera_behind_it_has_no_allowed_stream() -> None:
    error = error_of(offer(stream("p"), sources=("v1", "v2")), VideoSource(channel=2))
    assert error.reason is Reason.NO_ALLOWED_STREAM
    assert error.detail.startswith("Channel 2 offers no media profile")


def test_a_video_source_is_found_by_its_token() -> None:
    recorder = offer(stream("p1", source="left"), stream("p2", source="right"))
    source = VideoSource(video_source_token="right")
    assert pick_stream(recorder, source, LIMITS, MAIN).profile.token == "p2"


def test_an_unknown_token_is_answered_with_the_tokens_there_are() -> None:
    recorder = offer(stream("p1", source="left"), stream("p2", source="right"))
    error = error_of(recorder, VideoSource(video_source_token="middle"))
    assert error.reason is Reason.CHANNEL_NOT_FOUND
    assert error.detail == "The device has no video source middle: it has left and right"


def test_a_profile_named_by_token_is_taken_without_a_choice() -> None:
    source = VideoSource(profile_token="small")
    assert pick_stream(CAMERA, source, LIMITS, MAIN).profile.token == "small"


def test_a_profile_named_by_token_must_have_an_allowed_codec_all_the_same() -> None:
    error = error_of(offer(stream("p", codec="JPEG")), VideoSource(profile_token="p"))
    assert error.reason is Reason.NO_ALLOWED_STREAM


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        (stream("p", "160x90"), "Resolution 160x90 is below 320x180"),
        (stream("p", fps=60), "Frame rate 60 is above 30 a second"),
        (stream("p", fps=5), "Frame rate 5 is below 10 a second"),
        (
            MediaProfile("p", "v", "H264", bitrate_kbps=9000),
            "The encoder's limit of the bit rate, 9000 kbit/s, is above 4096 kbit/s",
        ),
        (
            MediaProfile("p", "v", "H264", fps=25, gop=500),
            "A key frame every 500 frames at 25 a second is rarer than one in 10 s",
        ),
    ],
    ids=["small", "fast", "slow", "fat", "long-gop"],
)
def test_each_limit_that_is_missed_is_one_sentence(profile: MediaProfile, sentence: str) -> None:
    assert deviations(profile, LIMITS) == (sentence,)


def test_a_value_that_the_device_does_not_give_is_no_deviation() -> None:
    assert deviations(MediaProfile("p", "v", "H264"), LIMITS) == ()


profiles_of_any_kind = st.builds(
    MediaProfile,
    token=st.text(max_size=8),
    source_token=st.sampled_from(["", "v1", "v2", "v3"]),
    codec=st.sampled_from(["", "H264", "H265", "JPEG", "H264\n"]),
    width=st.integers(0, 8000),
    height=st.integers(0, 8000),
    fps=st.integers(0, 200),
    gop=st.integers(0, 10_000),
    bitrate_kbps=st.integers(0, 100_000),
)
offers = st.builds(
    Offer,
    source_tokens=st.lists(st.sampled_from(["v1", "v2", "v3", "v4"]), max_size=4).map(tuple),
    profiles=st.lists(profiles_of_any_kind, max_size=8).map(tuple),
)
sources = st.one_of(
    st.builds(VideoSource, channel=st.integers(1, 5)),
    st.builds(VideoSource, video_source_token=st.sampled_from(["v1", "v4", "nowhere"])),
)
roles = st.sampled_from([MAIN, SUB])


def picked(offered: Offer, source: VideoSource, role: StreamRole) -> Choice | IngestError:
    try:
        return pick_stream(offered, source, LIMITS, role)
    except IngestError as error:
        return error


@given(offers, sources, roles)
def test_where_nothing_is_picked_the_reason_fits_into_a_condition(
    offered: Offer, source: VideoSource, role: StreamRole
) -> None:
    error = picked(offered, source, role)
    if isinstance(error, IngestError):
        assert error.reason in (Reason.CHANNEL_NOT_FOUND, Reason.NO_ALLOWED_STREAM)
        assert error.detail.isprintable()
        assert len(error.message) <= 512


@given(offers, sources, roles)
def test_what_is_picked_is_offered_allowed_and_of_the_source_asked_for(
    offered: Offer, source: VideoSource, role: StreamRole
) -> None:
    choice = picked(offered, source, role)
    if isinstance(choice, IngestError):
        return
    wanted = source.video_source_token or offered.channels[(source.channel or 1) - 1]
    assert choice.profile in offered.profiles
    assert choice.profile.source_token == wanted
    assert choice.profile.codec in ("H264", "H265", "")


@given(offers, sources)
def test_nothing_within_the_limits_is_larger_than_main_or_smaller_than_sub(
    offered: Offer, source: VideoSource
) -> None:
    main, sub = picked(offered, source, MAIN), picked(offered, source, SUB)
    if isinstance(main, IngestError) or isinstance(sub, IngestError):
        assert str(main) == str(sub)
        return
    fitting = [
        profile.pixels
        for profile in offered.profiles
        if profile.source_token == main.profile.source_token
        and profile.codec in ("H264", "H265")
        and LIMITS.min_width <= profile.width <= LIMITS.max_width
        and LIMITS.min_height <= profile.height <= LIMITS.max_height
    ]
    if fitting:
        assert main.profile.pixels == max(fitting)
        assert sub.profile.pixels == min(fitting)


@given(offers, sources, roles, st.randoms(use_true_random=False))
def test_the_order_of_profiles_decides_nothing(
    offered: Offer, source: VideoSource, role: StreamRole, random: Random
) -> None:
    shuffled = list(offered.profiles)
    random.shuffle(shuffled)
    once = picked(offered, source, role)
    again = picked(Offer(offered.source_tokens, tuple(shuffled)), source, role)
    assert type(once) is type(again)
    if isinstance(once, Choice) and isinstance(again, Choice):
        assert once.profile.token == again.profile.token
