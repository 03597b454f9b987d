# SPDX-License-Identifier: Apache-2.0
"""Which version of SOAP a device speaks: 1.2 as ONVIF Core section 5.1 says, or 1.1 alone.

The login asks it before each request and notes each answer; the envelope writes what it says. Some
devices read 1.1 alone, some read both and answer in 1.1, and some have one service of each kind.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from camfleet_worker.resolve.refusal import Fault

_NOT_UNDERSTOOD = frozenset({400, 415, 500})
"""HTTP statuses of an answer without SOAP that may mean the other version: RFC 9110 section 15.5.16
(the media type), SOAP 1.1 section 6.2 and SOAP 1.2 part 2 section 7.4.2 (any fault)."""


class SoapVersion(StrEnum):
    """A version, as status.learned.soapVersion names it."""

    V1_2 = "1.2"
    V1_1 = "1.1"

    @property
    def namespace(self) -> str:
        """The namespace of its envelope (SOAP 1.2 part 1 section 5.1, SOAP 1.1 section 4)."""
        if self is SoapVersion.V1_1:
            return "http://schemas.xmlsoap.org/soap/envelope/"
        return "http://www.w3.org/2003/05/soap-envelope"

    @property
    def other(self) -> SoapVersion:
        """The version that is not this one."""
        return SoapVersion.V1_2 if self is SoapVersion.V1_1 else SoapVersion.V1_1

    def headers(self, action: str) -> dict[str, str]:
        """HTTP headers of a request (SOAP 1.2 part 2 section 6.2, SOAP 1.1 section 6.1.1)."""
        if self is SoapVersion.V1_1:
            return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        return {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}


class Answered(Protocol):
    """What an answer shows of its version."""

    @property
    def status(self) -> int:
        """Of HTTP."""

    @property
    def version(self) -> SoapVersion | None:
        """Of its envelope; None where it has none."""

    @property
    def fault(self) -> Fault | None:
        """The fault in the envelope."""


class SpokenVersions:
    """The versions that the services of one device speak, by path, during one resolve."""

    def __init__(self, learned: str = "") -> None:
        self._last = SoapVersion.V1_1 if learned == SoapVersion.V1_1 else SoapVersion.V1_2
        self._at: dict[str, SoapVersion] = {}
        self._known: set[str] = set()

    def at(self, path: str) -> SoapVersion:
        """The version to ask this path in: its own where it is known, else that of the last path
        that answered by SOAP."""
        return self._at.get(path, self._last)

    def note(self, path: str, answer: Answered) -> bool:
        """Note an answer; True where the path is to be asked again because it may not speak the
        version of the request. `at` is then the other one, until that is not understood either."""
        if path in self._known:
            return False
        asked, doubted = self.at(path), path in self._at
        understood = not _may_be_of_other(asked, answer)
        if understood and answer.version is not None:
            self._last = asked
        if understood and (doubted or answer.version is not None):
            self._settle(path, asked)
        elif not understood and doubted:
            self._settle(path, asked.other)
        elif not understood:
            self._at[path] = asked.other
            return True
        return False

    def not_answered(self, path: str) -> None:
        """Note that a request in the version of `at` got no answer: the other one it is."""
        if path not in self._known:
            self._settle(path, self.at(path).other)

    def _settle(self, path: str, version: SoapVersion) -> None:
        self._at[path] = version
        self._known.add(path)


def _may_be_of_other(asked: SoapVersion, answer: Answered) -> bool:
    """Whether the answer may mean that the device speaks the other version.

    A refused login means nothing of the kind. A fault in the other version need not name the cause:
    a device that does not know ours has no better word than its own.
    """
    if answer.version is None:
        return answer.status in _NOT_UNDERSTOOD
    if answer.fault is None or answer.fault.refuses:
        return False
    return "VersionMismatch" in answer.fault.codes or answer.version is not asked
