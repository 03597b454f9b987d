# SPDX-License-Identifier: Apache-2.0
"""Whole conversations with cameras whose answers are mutated; `make fuzz` holds thousands."""

from __future__ import annotations

from fuzzer.conversations import converse


async def test_every_conversation_ends_in_a_stream_or_a_reason_and_reaches_no_other_host() -> None:
    heard = await converse(0, 300)
    assert heard.findings == []
    assert heard.streams > 20
    assert len(heard.refusals) >= 4, "the answers were hostile in one way only"
