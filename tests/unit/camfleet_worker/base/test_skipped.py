# SPDX-License-Identifier: Apache-2.0
"""What cannot be read is counted each time and logged once for each stream and kind."""

from __future__ import annotations

import pytest

from camfleet_worker.base.skipped import Part, SkippedParts

LOGGER = "camfleet_worker.base.skipped"


def test_each_stream_and_kind_has_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=LOGGER)
    skipped = SkippedParts()
    for stream in ("10.0.0.1/1", "10.0.0.1/2", "10.0.0.1/1"):
        skipped.note(Part.SDP_LINE, stream, "10.0.0.1:554", "x")
    skipped.note(Part.CHALLENGE, "10.0.0.1/1", "10.0.0.1:554", "strict")
    assert (skipped.counts[Part.SDP_LINE], skipped.counts[Part.CHALLENGE]) == (3, 1)
    assert [vars(line)["what"] for line in caplog.records] == ["sdp-line", "sdp-line", "challenge"]


def test_a_path_that_may_hold_a_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger=LOGGER)
    SkippedParts().note(Part.SDP_LINE, "10.0.0.1/user=a&password=b", "10.0.0.1:554", "x")
    assert "password" not in str(vars(caplog.records[0]))
