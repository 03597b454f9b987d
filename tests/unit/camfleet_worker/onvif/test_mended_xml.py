# SPDX-License-Identifier: Apache-2.0
"""XML is mended where that changes no structure, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from camfleet_worker.onvif.mended_xml import Mend, mended

TT = "http://www.onvif.org/ver10/schema"


def read(body: bytes) -> etree._Element:
    return etree.fromstring(mended(body)[0])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("rtsp://h/?user=a&stream=0", "rtsp://h/?user=a&stream=0"),
        ("a&amp;b&lt;c&#65;&#x42;", "a&b<cAB"),
        ("a&b;c&;d&#;e&", "a&b;c&;d&#;e&"),
        ("a&amp;amp;b", "a&amp;b"),
        ("x\x00\x0b\x1fy\ufffe", "xy"),
        ("x&#0;&#11;&#x1F;y", "xy"),
        ("tab\there&#9;&#10;&#xA;", "tab\there\t\n\n"),
    ],
)
def test_text_is_read_as_it_is_meant(written: str, meant: str) -> None:
    assert read(f"<a>{written}</a>".encode()).text == meant


def test_octets_of_another_encoding_cost_their_own_characters_alone() -> None:
    name = "\u6444\u50cf".encode("gbk")
    document = b'<?xml version="1.0" encoding="utf-8"?><a><b>' + name + b"</b><c>right</c></a>"
    found = read(document)
    assert found.findtext("c") == "right"
    assert "\ufffd" in (found.findtext("b") or "")


def test_a_prefix_that_is_declared_nowhere_is_onvifs_own_where_it_has_one() -> None:
    document = b"<s:E xmlns:s='urn:s'><tt:Uri rlk:x='1'>u</tt:Uri><rlk:Extra/></s:E>"
    found = read(document)
    assert [child.tag for child in found] == [f"{{{TT}}}Uri", "{urn:undeclared:rlk}Extra"]
    assert found.tag == "{urn:s}E"


@pytest.mark.parametrize(
    ("body", "mends"),
    [
        (b"<a>rtsp://h/?a&b</a>", {Mend.AMPERSAND}),
        (b"<a>\xc4\xe3</a>", {Mend.ENCODING}),
        (b"<a>\x0b&#11;</a>", {Mend.CHARACTER}),
        (b"<rlk:a/>", {Mend.PREFIX}),
        (b"<rlk:a>\x0b\xff&</rlk:a>", set(Mend) - {Mend.WRAPPER, Mend.FOREIGN}),
        (b'<?xml version="1.0"?><a>&amp;</a>', set()),
    ],
)
def test_what_was_mended_is_said(body: bytes, mends: set[Mend]) -> None:
    assert mended(body)[1] == mends


@pytest.mark.parametrize("cut", [b"<a><b>1</b><b>2", b"<a><b></a></b>", b"<a>", b"", b"<", b"<a"])
def test_what_is_cut_off_or_crossed_stays_broken(cut: bytes) -> None:
    with pytest.raises((etree.XMLSyntaxError, ValueError)):
        read(cut)


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)


@given(st.lists(st.tuples(st.sampled_from("abc"), PLAIN), max_size=5))
def test_a_document_that_was_well_formed_means_the_same(children: list[tuple[str, str]]) -> None:
    root = etree.Element("root")
    for tag, text in children:
        etree.SubElement(root, tag).text = "".join(c for c in text if c not in "\ufffe\uffff")
    document = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    assert etree.tostring(read(document), method="c14n") == etree.tostring(root, method="c14n")


@given(st.binary(max_size=300))
def test_no_octets_make_it_fail(body: bytes) -> None:
    mended(body)
