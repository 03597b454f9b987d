# SPDX-License-Identifier: Apache-2.0
"""Each mended answer is counted; each device and kind is named once, in bounded memory."""

from __future__ import annotations

import pytest

from camfleet_api.device_address import DeviceAddress
from camfleet_worker.onvif import mend_log
from camfleet_worker.onvif.mend_log import MendLog
from camfleet_worker.onvif.mended_xml import Mend

ONE, OTHER = DeviceAddress("10.0.0.1", 80), DeviceAddress("10.0.0.2", 80)
BOTH = frozenset({Mend.PREFIX, Mend.ENCODING})


def test_a_device_is_named_once_for_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    mends = MendLog()
    for device in (ONE, ONE, OTHER):
        mends.note(device, "GetProfiles", BOTH)
    assert {kind for kind, count in mends.counts.items() if count == 3} == BOTH
    assert len(caplog.records) == 4


def test_what_is_remembered_has_a_limit(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mend_log, "_MOST_NAMED", 2)
    mends = MendLog()
    for device in (ONE, OTHER, ONE, OTHER):
        mends.note(device, "GetProfiles", BOTH)
    assert mends.counts[Mend.PREFIX] == 4
    assert len(caplog.records) == 8


def test_every_kind_has_words() -> None:
    assert all(kind.words for kind in Mend)
