# SPDX-License-Identifier: Apache-2.0
"""Keys of recorded objects: spelled as the annex says, read back, and grouped into spans."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.record.layout import (
    ObjectKey,
    Span,
    camera_prefix,
    parse_key,
    segment_is_over,
    spans,
)

US = 1_000_000
INSTANTS = st.integers(min_value=0, max_value=4_000_000_000 * US)
PREFIXES = st.sampled_from(["", "phu-yen/gate.0a1b2c3d", "a/b/c"])
KEYS = st.builds(ObjectKey, PREFIXES, INSTANTS, st.integers(0, 99_999), st.booleans())


def test_a_key_is_spelled_in_utc_as_in_the_annex() -> None:
    at_us = 1_700_000_000 * US + 40_000
    key = ObjectKey("phu-yen/gate.0a1b2c3d", at_us, 7)
    assert str(key) == "phu-yen/gate.0a1b2c3d/2023-11-14/22/13-20.040000Z.7.mp4"
    assert str(ObjectKey("", at_us, 8, end=True)) == "2023-11-14/22/13-20.040000Z.8.mp4_end"


@given(KEYS)
def test_every_key_reads_back(key: ObjectKey) -> None:
    assert parse_key(str(key)) == key


@given(st.lists(INSTANTS, min_size=2, max_size=2, unique=True))
def test_names_sort_as_times_do(instants: list[int]) -> None:
    first, second = sorted(instants)
    assert str(ObjectKey("p", first, 10)) < str(ObjectKey("p", second, 9))


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("2023-11-14/22/13-20Z.0.mp4", 1_700_000_000 * US),
        ("2023-11-14/22/13-20.5Z.0.mp4", 1_700_000_000 * US + 500_000),
        ("2016-12-31/23/59-60Z.0.mp4", 1_483_228_800 * US),
    ],
    ids=["no fraction", "short fraction", "leap second"],
)
def test_keys_of_other_writers_are_read(text: str, at_us: int) -> None:
    key = parse_key(text)
    assert key is not None
    assert key.at_us == at_us


@pytest.mark.parametrize(
    "text",
    [
        "",
        "retention_days",
        "2023-02-30/00/00-00Z.0.mp4",
        "2023-11-14/24/00-00Z.0.mp4",
        "2023-11-14/00/60-00Z.0.mp4",
        "2023-11-14/00/00-61Z.0.mp4",
        "2023-11-14/00/00-00Z.0.mp4.part",
        "2023-11-14/00/00-00Z.mp4",
        "1969-12-31/00/00-00Z.0.mp4",
        "٢٠٢٣-11-14/00/00-00Z.0.mp4",
    ],
)
def test_anything_else_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@given(st.text(max_size=60))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    parse_key(text)


@st.composite
def recordings(draw: st.DrawFn) -> list[Span]:
    """Spans one after another, some never ended."""
    at_us = draw(INSTANTS)
    found = []
    for _ in range(draw(st.integers(0, 5))):
        segments = []
        for counter in range(draw(st.integers(1, 6))):
            segments.append(ObjectKey("p", at_us, counter))
            at_us += draw(st.integers(1, 100 * US))
        found.append(Span(tuple(segments), draw(st.sampled_from([at_us, None]))))
        at_us += draw(st.integers(0, 100 * US))
    return found


@given(recordings(), st.randoms(use_true_random=False))
def test_spans_are_found_in_keys_of_any_order(
    recorded: list[Span], shuffler: random.Random
) -> None:
    keys = [key for span in recorded for key in span.segments]
    keys += [
        ObjectKey("p", span.end_us, span.segments[-1].counter + 1, end=True)
        for span in recorded
        if span.end_us is not None
    ]
    shuffler.shuffle(keys)
    assert spans(keys) == recorded


def test_a_span_that_lost_its_beginning_to_retention_begins_with_what_is_left() -> None:
    left = [ObjectKey("p", counter * US, counter) for counter in (3, 4)]
    assert spans([*left, ObjectKey("p", 5 * US, 5, end=True)]) == [Span(tuple(left), 5 * US)]


def test_a_span_that_begins_before_the_end_of_another_is_a_span_of_its_own() -> None:
    """Our clock was set back between them."""
    old = [ObjectKey("p", 10 * US, 0), ObjectKey("p", 20 * US, 1)]
    new = [ObjectKey("p", 25 * US, 0)]
    end = ObjectKey("p", 30 * US, 2, end=True)
    assert spans([*old, *new, end]) == [Span(tuple(old), 30 * US), Span(tuple(new), None)]


@given(INSTANTS, st.integers(0, 3600 * US), st.integers(2, 3600))
def test_a_segment_ends_exactly_where_the_grid_of_utc_lies_between(
    start_us: int, later_us: int, segment_s: int
) -> None:
    at_us = start_us + later_us
    lines = range(start_us // (segment_s * US) + 1, at_us // (segment_s * US) + 1)
    assert segment_is_over(start_us, at_us, segment_s) is (len(lines) > 0)


def test_a_camera_declared_again_under_its_name_gets_another_place() -> None:
    first = camera_prefix("phu-yen", "gate", "0a1b2c3d-1111-2222-3333-444455556666")
    again = camera_prefix("phu-yen", "gate", "9f8e7d6c-1111-2222-3333-444455556666")
    assert first == "phu-yen/gate.0a1b2c3d"
    assert first != again
