# SPDX-License-Identifier: Apache-2.0
"""Labels in pictures: each picture says which one it is, and is otherwise what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_simulator.clips import AccessUnit, Codec, frame_hash, group_access_units, split_annex_b
from camera_simulator.rtsp.labels import Label, Labeller, label_of, parse_label
from vms.receiver.ledger import picture_hash, picture_label

KEY_PICTURES: dict[Codec, tuple[bytes, ...]] = {
    "h264": (b"\x67\x4d\x1f", b"\x68\xee", b"\x65\x88\x84\x21"),
    "h265": (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc0", b"\x26\x01\xaf\x11"),
}


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_a_label_is_read_from_the_picture_and_by_the_monitoring_system(codec: Codec) -> None:
    frame = AccessUnit(KEY_PICTURES[codec], key=True)
    labeller = Labeller("gate")
    labeller.labelled(frame, codec)
    labelled = labeller.labelled(frame, codec)
    label = label_of(labelled.units)
    assert label is not None
    assert (label.camera, label.number) == ("gate", 1)
    assert label.describes(frame_hash(frame.units, codec))
    stream = b"".join(b"\0\0\0\1" + unit for unit in labelled.units)
    assert picture_label(stream) == str(label)
    assert picture_hash(stream, codec) == frame_hash(frame.units, codec)
    assert list(group_access_units(split_annex_b(stream), codec)) == [labelled]


@given(st.integers(0, 10**9), st.integers(0, 2 * 10**12))
def test_a_label_is_its_text(number: int, sent_ms: int) -> None:
    label = Label("gate-1", number, "0123456789abcdef", sent_ms / 1000)
    assert parse_label(str(label)) == label


@pytest.mark.parametrize("text", ["", "gate", "gate/x/0123/1.0", "gate/1/0123/1.0/more"])
def test_other_texts_are_no_labels(text: str) -> None:
    assert parse_label(text) is None


def test_a_picture_without_a_label_has_none() -> None:
    assert label_of(KEY_PICTURES["h264"]) is None
    assert picture_label(b"\0\0\0\1".join(KEY_PICTURES["h264"])) == ""
