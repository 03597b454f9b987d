# SPDX-License-Identifier: Apache-2.0
"""Brings a response into the shape of its schema, where only what is around the values is wrong.

Called by the envelope before zeep reads the answer. Devices leave the element around an answer out
(a Uri straight in GetStreamUriResponse), put one more around it, or put elements of their own
beside it, with which zeep gives another result. No value is changed. Names in the wrong namespace
need no help: zeep, not being strict, compares local names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from camfleet_worker.onvif.mended_xml import Mend


def shape(response: Any, expected: Any) -> frozenset[Mend]:
    """Change the response element to fit zeep's element `expected`; the kinds of change."""
    known = _children(expected)
    foreign = [child for child in response if local_name(child) not in known]
    if not foreign or _has_wildcard(expected):
        return frozenset()
    if len(foreign) < len(response):
        for child in foreign:
            response.remove(child)
        return frozenset({Mend.FOREIGN})
    if _wrapped(response, known) or _unwrapped(response, known):
        return frozenset({Mend.WRAPPER})
    return frozenset()


def local_name(element: Any) -> str:
    """The name of an element without its namespace."""
    return str(etree.QName(element).localname)


def child_named(element: Any, name: str) -> Any | None:
    """The first child with this name in any namespace; None without one, or without an element."""
    if element is None:
        return None
    return next((child for child in element if local_name(child) == name), None)


def _children(expected: Any) -> dict[str, Any]:
    """zeep's elements within an element, by local name; of wildcards and plain values none."""
    found: dict[str, Any] = {}
    for _, child in getattr(expected.type, "elements", ()):
        if getattr(child, "qname", None) is not None:
            found.setdefault(child.qname.localname, child)
    return found


def _has_wildcard(expected: Any) -> bool:
    """Whether the schema allows any element there."""
    elements = getattr(expected.type, "elements", ())
    return any(getattr(child, "qname", None) is None for _, child in elements)


def _wrapped(response: Any, known: Mapping[str, Any]) -> bool:
    """Put the children into the one element that belongs around them, where there is one."""
    names = {local_name(child) for child in response}
    around = [
        one for one in known.values() if not one.accepts_multiple and names & set(_children(one))
    ]
    if len(around) != 1:
        return False
    wrapper = etree.Element(around[0].qname)
    wrapper.extend(list(response))
    response.append(wrapper)
    return True


def _unwrapped(response: Any, known: Mapping[str, Any]) -> bool:
    """Take the children out of the one element around them, where they belong into the response."""
    if len(response) != 1 or not any(local_name(child) in known for child in response[0]):
        return False
    wrapper = response[0]
    response.extend(list(wrapper))
    response.remove(wrapper)
    return True
