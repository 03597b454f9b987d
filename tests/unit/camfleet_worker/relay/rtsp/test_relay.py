# SPDX-License-Identifier: Apache-2.0
"""When the RTSP relay connects, told by the names that it has resolved."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.media_types.access_unit import AccessUnit, Codec, VideoFormat
from camfleet_worker.relay.name_resolver import Address, Resolver
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import RelayTarget

H264 = VideoFormat(Codec.H264, (b"\x67\x42\xc0\x0d\x01", b"\x68\xce"), 320, 240)
H265 = VideoFormat(Codec.H265, (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc0"), 320, 240)
TARGET = RelayTarget(RelayProtocol.RTSP, "vms", 554, "/live/gate", frozenset((Codec.H264,)))


class NoNames(Resolver):
    """A name service that knows nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def resolve(self, host: str, port: int) -> Future[list[Address]]:
        self.asked += 1
        answer: Future[list[Address]] = Future()
        answer.set_exception(OSError("no such name"))
        return answer


def reason(relay: RtspRelay) -> Reason | None:
    error = relay.state.error
    return error.reason if error is not None else None


def key_frame(video: VideoFormat) -> AccessUnit:
    return AccessUnit(
        data=b"\0\0\0\2\x65\0",
        key=True,
        pts_90k=0,
        arrived_at=1_700_000_000.0,
        origin_at=1_700_000_000.0,
        format=video,
        composition_offset_90k=0,
    )


@pytest.mark.parametrize(("jitter", "asked_again"), [(0.0, True), (0.999, False)])
def test_after_a_codec_that_was_not_taken_it_keeps_to_the_jitter_it_was_given(
    jitter: float, asked_again: bool
) -> None:
    names = NoNames()
    relay = RtspRelay("vms", TARGET, names, jitter=lambda: jitter)
    relay.push(key_frame(H265))
    relay.tick(100.0)
    assert reason(relay) is Reason.VMS_CODEC_UNSUPPORTED
    assert names.asked == 0

    relay.push(key_frame(H264))
    relay.tick(100.0)
    relay.tick(100.1)
    assert reason(relay) is Reason.VMS_UNREACHABLE
    assert names.asked == 1
    relay.tick(100.2)
    assert (names.asked == 2) == asked_again
    relay.close()
