# SPDX-License-Identifier: Apache-2.0
"""Mends the XML of a device where that is safe, so that one bad character does not cost the camera.

Pure; called by the envelope for what is not well-formed. It mends what changes no structure: octets
of another encoding, characters that XML does not have, an ampersand that begins no entity (in
addresses), and a prefix that is declared nowhere. An answer that is cut off, or whose elements do
not close, stays broken: of a list half received nobody can say what is missing, and lxml's own
recovery would read it as a shorter list.
"""

from __future__ import annotations

import re
from enum import StrEnum

# Predefined entities and character references (XML 1.0 sections 4.1 and 4.6). There are no others
# without a document type, which the envelope refuses.
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
# Everything outside of Char (section 2.2).
_NO_CHARACTER = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_LAST_CHARACTER = 0x10FFFF
_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_PREFIX = re.compile(r"(?:</?|\s)([A-Za-z_][\w.-]{0,40}):[A-Za-z_]")
_DECLARED = re.compile(r"\sxmlns:([A-Za-z_][\w.-]*)\s*=")
_ROOT = re.compile(r"<[A-Za-z_][\w.:-]*")
_RESERVED = frozenset({"xml", "xmlns"})
_MOST_PREFIXES = 20

# The prefixes that ONVIF's own documents use (ONVIF Core section 5.3 and its WSDLs).
_NAMESPACES = {
    "tt": "http://www.onvif.org/ver10/schema",
    "tds": "http://www.onvif.org/ver10/device/wsdl",
    "trt": "http://www.onvif.org/ver10/media/wsdl",
    "tr2": "http://www.onvif.org/ver20/media/wsdl",
    "tev": "http://www.onvif.org/ver10/events/wsdl",
    "ter": "http://www.onvif.org/ver10/error",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xs": "http://www.w3.org/2001/XMLSchema",
    "xsd": "http://www.w3.org/2001/XMLSchema",
}


class Mend(StrEnum):
    """What was mended in an answer of a device; the value is the label of a metric."""

    ENCODING = "encoding"
    CHARACTER = "character"
    AMPERSAND = "ampersand"
    PREFIX = "prefix"
    WRAPPER = "wrapper"
    FOREIGN = "foreign"

    @property
    def words(self) -> str:
        """What is wrong in the answer, for a person."""
        return {
            Mend.ENCODING: "octets that are no UTF-8",
            Mend.CHARACTER: "characters that XML does not have",
            Mend.AMPERSAND: "an ampersand that begins no entity",
            Mend.PREFIX: "a prefix that is declared nowhere",
            Mend.WRAPPER: "an element around its content too many or too few",
            Mend.FOREIGN: "elements that ONVIF's schema does not have there",
        }[self]


def mended(body: bytes) -> tuple[bytes, frozenset[Mend]]:
    """The document in UTF-8, mended, and what was; it may still not be well-formed."""
    read = body.decode("utf-8", "replace")
    plain = _REFERENCE.sub(_if_character, _NO_CHARACTER.sub("", read))
    escaped = _BARE_AMPERSAND.sub("&amp;", plain)
    declared = _with_prefixes_declared(_DECLARATION.sub("", escaped, count=1))
    made = {
        Mend.ENCODING: not _is_utf_8(body),
        Mend.CHARACTER: plain != read,
        Mend.AMPERSAND: escaped != plain,
        Mend.PREFIX: declared != _DECLARATION.sub("", escaped, count=1),
    }
    return declared.encode(), frozenset(kind for kind, was in made.items() if was)


def _is_utf_8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _if_character(reference: re.Match[str]) -> str:
    """The reference where it is to a character of XML, else nothing."""
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    is_one = code <= _LAST_CHARACTER and not _NO_CHARACTER.match(chr(code))
    return reference[0] if is_one else ""


def _with_prefixes_declared(text: str) -> str:
    """The text with each prefix that is declared nowhere declared at its root: as ONVIF's own where
    ONVIF has it, else as a namespace that no reader knows."""
    used = dict.fromkeys(_PREFIX.findall(text))
    unknown = [one for one in used if one not in _RESERVED.union(_DECLARED.findall(text))]
    declarations = "".join(
        f' xmlns:{one}="{_NAMESPACES.get(one, f"urn:undeclared:{one}")}"'
        for one in unknown[:_MOST_PREFIXES]
    )
    return _ROOT.sub(lambda root: root[0] + declarations, text, count=1)
