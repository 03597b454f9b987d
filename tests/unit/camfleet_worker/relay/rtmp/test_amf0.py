# SPDX-License-Identifier: Apache-2.0
"""AMF0 is read as far as it can be, and nothing that a server sends makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_worker.relay.rtmp.amf0 import AmfValue, encode, read

PLAIN = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20)
VALUES: st.SearchStrategy[AmfValue] = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
DATE = b"\x0b" + bytes(10)
AMF3 = b"\x11\x04\x07"


@given(st.lists(VALUES, max_size=4))
def test_what_is_encoded_reads_back(sent: list[AmfValue]) -> None:
    assert read(b"".join(map(encode, sent)))[0] == sent


@given(st.binary(max_size=200))
def test_no_octets_make_it_fail(data: bytes) -> None:
    read(data)


@given(st.lists(PLAIN, max_size=4), st.binary(max_size=40))
def test_what_stands_before_an_unreadable_value_counts(sent: list[AmfValue], rest: bytes) -> None:
    data = b"".join(map(encode, sent))
    assert read(data + AMF3 + rest)[0] == sent


@pytest.mark.parametrize(
    "other",
    [
        DATE,
        b"\x06",
        b"\x07\0\x01",
        b"\x0d",
        b"\x0c\0\0\0\x02hi",
        b"\x0f\0\0\0\x02<>",
        b"\x10\0\x01C" + encode({"a": 1.0})[1:],
        b"\x08\0\0\0\x01" + encode({"a": 1.0})[1:],
        b"\x02\0\x02\xb2\xe2",
    ],
)
def test_a_value_of_any_kind_hides_none_behind_it(other: bytes) -> None:
    assert read(other + encode("behind"))[0][1:] == ["behind"]
    in_object = b"\x03\0\x01x" + other + encode({"code": "Start"})[1:]
    (found,), _ = read(in_object)
    assert isinstance(found, dict)
    assert found["code"] == "Start"


@pytest.mark.parametrize("cut", [AMF3, b"\x02\0\x09sho", b"\0\0", b""])
def test_of_an_object_that_is_cut_off_the_fields_before_count(cut: bytes) -> None:
    code = encode({"code": "NetStream.Publish.BadName"})[:-3]
    assert read(code + b"\0\x01x" + cut)[0] == [{"code": "NetStream.Publish.BadName"}]
    nested = b"\x03\0\x04info" + code + b"\0\x01x" + cut
    assert read(nested)[0] == [{"info": {"code": "NetStream.Publish.BadName"}}]


def test_what_cannot_be_read_is_handed_back_from_its_value_on() -> None:
    data = encode("onCuePoint") + encode(0.0)
    assert read(data) == (["onCuePoint", 0.0], b"")
    assert read(data + AMF3 + encode("behind")) == (["onCuePoint", 0.0], AMF3 + encode("behind"))
