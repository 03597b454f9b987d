# SPDX-License-Identifier: Apache-2.0
"""Decoding times: they rise, no picture is shown before it is decoded, and order is kept."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.media_types.access_unit import Codec, Reordering, SliceFields, VideoFormat
from camfleet_worker.timeline.reorder import DisplayOrder, ReorderWindow
from camfleet_worker.timeline.timeline import CLOCK_HZ, Timeline

FRAME = 3600
DECLARED = {
    0: Reordering(0, 7),
    1: Reordering(1, 7),
    2: Reordering(2, 7),
    3: Reordering(3, 7),
}
SILENT = Reordering(None, 7, SliceFields(False, 4, True, 6))


def video(reordering: Reordering) -> VideoFormat:
    return VideoFormat(Codec.H264, (b"\x67", b"\x68"), 64, 64, reordering)


def picture(kind: str, count: int = 0) -> bytes:
    """A slice header of nothing but first macroblock, type, PPS, frame number 0, the number of an
    IDR picture and order count. `kind`: "R" is a key frame that is no IDR picture."""
    slice_type = {"I": "011", "R": "011", "P": "1", "B": "010"}[kind]
    idr_number = "00101" if kind == "I" else ""
    bits = "1" + slice_type + "1" + "0000" + idr_number + f"{count % 64:06b}" + "1"
    bits += "0" * (-len(bits) % 8)
    nal = bytes((0x65 if kind == "I" else 0x41,)) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return len(nal).to_bytes(4, "big") + nal


def mini_gops(*shown: int, times: int) -> list[tuple[str, int]]:
    """A key frame and mini GOPs as `shown`: kinds and display numbers in decoding order."""
    pictures = [("I", 0)]
    for number in range(times):
        first = number * len(shown)
        pictures += [("P" if place == max(shown) else "B", first + place) for place in shown]
    return pictures


PLAIN = (1,)
TWO_B = (3, 1, 2)
PYRAMID = (4, 2, 1, 3)
DEEP = (8, 4, 2, 1, 3, 6, 5, 7)
PATTERNS = {PLAIN: 0, TWO_B: 1, PYRAMID: 2, DEEP: 3}


class Stream:
    """Pictures given to a DisplayOrder, and what it makes of them."""

    def __init__(self) -> None:
        self.order = DisplayOrder()
        self.times: list[tuple[int, int]] = []
        self._rising = -1
        self.first_count, self.count_step = 0, 2
        """Of the picture order counts: of the key frame, and between frames."""

    def push(
        self, reordering: Reordering, pictures: list[tuple[str, int]], start: int = 0
    ) -> list[tuple[int, int]]:
        before, video_format = len(self.times), video(reordering)
        for kind, shown in pictures:
            taken = start + shown * FRAME
            self._rising = max(taken, self._rising + 1)
            self.times.append(
                self.order.place(
                    picture(kind, self.first_count + self.count_step * shown),
                    kind in "IR",
                    video_format,
                    self._rising,
                    taken,
                )
            )
        return self.times[before:]


def assert_audio(times: list[tuple[int, int]]) -> None:
    assert all(dts <= pts for pts, dts in times)
    assert all(before < after for (_, before), (_, after) in itertools.pairwise(times))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("IPB"),
            st.integers(0, 40) | st.integers(0, 4_000),
            st.sampled_from([*DECLARED.values(), SILENT, Reordering(16, 16), Reordering()]),
        ),
        max_size=80,
    )
)
def test_whatever_comes_decoding_times_rise_and_lie_behind_no_presentation_time(
    pictures: list[tuple[str, int, Reordering]],
) -> None:
    stream = Stream()
    for kind, shown, reordering in pictures:
        stream.push(reordering, [(kind, shown)])
    assert_audio(stream.times)
    assert all(pts >= 0 for pts, _ in stream.times)


@given(
    st.integers(0, 16).flatmap(
        lambda depth: st.tuples(st.just(depth), st.lists(st.integers(0, depth), max_size=60))
    ),
    st.integers(0, 1 << 33),
)
def test_a_stream_that_keeps_to_its_depth_keeps_every_presentation_time(
    stream: tuple[int, list[int]], start: int
) -> None:
    """Any order in which at most `depth` pictures are passed over at a time."""
    depth, choices = stream
    waiting, decoded, shown = list(range(1, depth + 2)), [], depth + 2
    # A decoder with room for `depth` pictures that wait to be shown gives out the least of them:
    # so the one that is decoded is any of the next ones, but the least after `depth` others.
    passed = 0
    for choice in choices:
        number = waiting[0] if passed >= depth else waiting[min(choice, len(waiting) - 1)]
        waiting.remove(number)
        decoded.append(number)
        passed = sum(1 for other in decoded if other > waiting[0]) if waiting else 0
        waiting.append(shown)
        shown += 1
    window = ReorderWindow()
    times = [window.reordered(start, True, depth)] if depth else [(window.in_order(start),) * 2]
    for number in decoded:
        taken = start + number * FRAME
        times.append(
            window.reordered(taken, False, depth) if depth else (window.in_order(taken),) * 2
        )
    assert [pts for pts, _ in times] == [start, *(start + number * FRAME for number in decoded)]
    assert_audio(times)


@pytest.mark.parametrize("reordering", [*DECLARED.values(), SILENT])
def test_without_b_frames_presentation_times_are_the_camera_s(reordering: Reordering) -> None:
    times = Stream().push(reordering, mini_gops(*PLAIN, times=50), start=1_000_000)
    assert [pts for pts, _ in times] == [1_000_000 + number * FRAME for number in range(51)]
    if not reordering.declared:
        assert all(pts == dts for pts, dts in times)


@pytest.mark.parametrize(("shown", "depth"), PATTERNS.items())
@pytest.mark.parametrize("silent", [False, True])
def test_b_frames_are_shown_when_they_were_taken_from_the_first_on(
    shown: tuple[int, ...], depth: int, silent: bool
) -> None:
    stream, pictures = Stream(), mini_gops(*shown, times=12)
    times = stream.push(SILENT if silent else DECLARED[depth], pictures)
    assert [pts for pts, _ in times] == [number * FRAME for _, number in pictures]
    assert_audio(times)
    assert stream.order.depth >= depth
    assert all(pts - dts <= (max(shown) + stream.order.depth) * FRAME for pts, dts in times)


@pytest.mark.parametrize("key", ["I", "R"])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("first", [0, 2, 4, 7, 30, 63])
def test_a_key_frame_whose_order_count_is_not_0_makes_no_b_frames(
    first: int, step: int, key: str
) -> None:
    stream = Stream()
    stream.first_count, stream.count_step = first, step
    for gop in range(4):
        pictures = [(key, 0), *(("P", number) for number in range(1, 25))]
        stream.push(SILENT, pictures, start=gop * 25 * FRAME)
    assert stream.order.depth == 0
    assert stream.times == [(number * FRAME, number * FRAME) for number in range(100)]


@pytest.mark.parametrize("key", ["I", "R"])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("first", [0, 4, 61])
def test_b_frames_are_noticed_from_whatever_order_count_a_key_frame_has(
    first: int, step: int, key: str
) -> None:
    stream, pictures = Stream(), mini_gops(*TWO_B, times=12)
    stream.first_count, stream.count_step = first, step
    times = stream.push(SILENT, [(key, 0), *pictures[1:]])
    assert [pts for pts, _ in times] == [number * FRAME for _, number in pictures]
    assert_audio(times)


def test_b_frames_in_front_of_a_key_frame_that_is_no_idr_picture_are_noticed() -> None:
    stream = Stream()
    for gop in range(8):
        open_gop = [("R", 2), ("B", 0), ("B", 1), ("P", 5), ("B", 3), ("B", 4)]
        times = stream.push(SILENT, open_gop, start=gop * 6 * FRAME)
    assert stream.order.depth == 1
    assert [pts for pts, _ in times] == [(42 + number) * FRAME for _, number in open_gop]
    assert_audio(stream.times)


def test_b_frames_that_the_camera_denies_are_noticed_at_the_first_one() -> None:
    stream, pictures = Stream(), mini_gops(*TWO_B, times=12)
    times = stream.push(DECLARED[0], pictures)
    assert stream.order.depth == 1
    assert_audio(times)
    assert [pts for pts, _ in times][4:] == [number * FRAME for _, number in pictures][4:]


def test_b_frames_that_begin_in_the_middle_are_noticed() -> None:
    stream = Stream()
    stream.push(SILENT, mini_gops(*PLAIN, times=30))
    later = [(kind, 30 + shown) for kind, shown in mini_gops(*PYRAMID, times=5)][1:]
    times = stream.push(SILENT, later)
    assert stream.order.depth == 2
    assert_audio(stream.times)
    assert [pts for pts, _ in times][4:] == [number * FRAME for _, number in later][4:]


def test_a_clock_that_steps_back_makes_no_b_frames() -> None:
    stream = Stream()
    stream.push(SILENT, mini_gops(*PLAIN, times=30))
    stream.push(SILENT, [("P", number) for number in (29, 28, 31, 20, 33, 10, 11, 12)])
    stream.push(SILENT, [("B", number) for number in (13, 14, 15)])
    assert stream.order.depth == 0
    assert all(pts == dts for pts, dts in stream.times)
    assert_audio(stream.times)


def test_what_was_learnt_stays_while_the_parameter_sets_say_the_same() -> None:
    stream = Stream()
    stream.push(DECLARED[0], mini_gops(*TWO_B, times=2))
    again = mini_gops(*TWO_B, times=2)
    times = stream.push(DECLARED[0], again, start=9 * FRAME)
    assert [pts for pts, _ in times] == [(9 + number) * FRAME for _, number in again]
    assert_audio(stream.times)


@pytest.mark.parametrize("gap_s", [0.04, 1, 4, 6, 3600])
@pytest.mark.parametrize("shown", [TWO_B, PYRAMID])
def test_after_a_gap_decoding_goes_on_close_to_the_pictures(
    gap_s: float, shown: tuple[int, ...]
) -> None:
    stream, pictures = Stream(), mini_gops(*shown, times=5)
    stream.push(DECLARED[2], pictures)
    start = max(pts for pts, _ in stream.times) + int(gap_s * 90_000)
    times = stream.push(DECLARED[2], pictures, start=start)
    assert [pts for pts, _ in times] == [start + number * FRAME for _, number in pictures]
    assert all(pts - dts < 5 * 90_000 for pts, dts in times)
    assert_audio(stream.times)


def test_pictures_of_another_depth_follow_in_order() -> None:
    stream = Stream()
    start = 0
    for depth, shown in [(0, PLAIN), (2, PYRAMID), (1, TWO_B), (0, PLAIN), (3, DEEP), (0, PLAIN)]:
        pictures = mini_gops(*shown, times=3)
        times = stream.push(DECLARED[depth], pictures, start)
        assert [pts for pts, _ in times] == [start + number * FRAME for _, number in pictures]
        start += len(pictures) * FRAME
    assert_audio(stream.times)


@pytest.mark.parametrize(("real_fps", "stamped_fps"), [(21, 25), (25, 21), (25, 25.0125)])
@pytest.mark.parametrize("shown", [TWO_B, PYRAMID, DEEP])
def test_a_wrong_clock_is_followed_without_changing_the_order_of_pictures(
    shown: tuple[int, ...], real_fps: int, stamped_fps: float
) -> None:
    timeline, order = Timeline(), DisplayOrder()
    pictures = mini_gops(*shown, times=600 * 25 // len(shown))
    pts: dict[int, int] = {}
    for place, (kind, number) in enumerate(pictures):
        rising = timeline.stamp(int(number * CLOCK_HZ / stamped_fps), place / real_fps)
        pts[number], dts = order.place(
            picture(kind), kind == "I", video(DECLARED[3]), rising, timeline.taken_90k
        )
        assert dts <= pts[number]
    frame = CLOCK_HZ / stamped_fps
    steps = [pts[number + 1] - pts[number] for number in range(len(pictures) - 1)]
    assert timeline.anchors == 1
    assert all(frame * 0.2 <= step <= frame * 2.2 for step in steps)
    assert sum(frame * 0.7 <= step <= frame * 1.3 for step in steps) > 0.95 * len(steps)
    assert abs(pts[len(pictures) - 1] / CLOCK_HZ - len(pictures) / real_fps) < 5


@pytest.mark.parametrize("back", [1, 5, 1000])
def test_a_key_frame_is_shown_after_everything_before_it_whatever_its_clock_says(back: int) -> None:
    stream = Stream()
    before = stream.push(DECLARED[2], mini_gops(*PYRAMID, times=300), start=1000)
    newest = max(pts for pts, _ in before)
    ((pts, _),) = stream.push(DECLARED[2], [("I", 0)], start=newest - back * FRAME)
    assert newest < pts <= newest + FRAME
