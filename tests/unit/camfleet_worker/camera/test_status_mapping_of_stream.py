# SPDX-License-Identifier: Apache-2.0
"""What a stream has taught about its camera's RTSP port, and how the next one is opened by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from camfleet_api.camera import LearnedStatus, RtspScheme, Scheme, VideoSource
from camfleet_api.ingest_shard import Policy, ShardCamera
from camfleet_api.policy import StreamRole, VideoCodec
from camfleet_api.technical_profile import RecordingPolicy, VideoLimits
from camfleet_worker.camera.status_mapping import (
    learned_from_stream,
    learned_status,
    stream_target,
    without_transport,
)
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.resolve import ResolveRequest
from camfleet_worker.rtsp.client import PlayingStream

FIRST, DECLARED = "a" * 64, "b" * 64


def camera(**changes: object) -> ShardCamera:
    fields: dict[str, object] = {
        "name": "cam",
        "uid": "u",
        "generation": 1,
        "site": "hospital",
        "host": "192.0.2.1",
        "onvif_port": 80,
        "rtsp_port": 8554,
        "scheme": Scheme.HTTP,
        "onvif_path": "/onvif/device_service",
        "source": VideoSource(channel=1),
        "policy": 0,
    }
    return ShardCamera(**(fields | changes))


def policy(udp: bool = False) -> Policy:
    return Policy(
        video=VideoLimits(),
        stream=StreamRole.MAIN,
        recording=RecordingPolicy(),
        relays=[],
        site_connects_per_second=5,
        udp_fallback=udp,
    )


def stream(transport: str = "tcp", certificate: str = "") -> PlayingStream:
    fake = SimpleNamespace(codec=Codec.H264, transport=transport, certificate=certificate)
    return cast(PlayingStream, fake)


def learned(transport: str = "tcp", certificate: str = "") -> LearnedStatus:
    return learned_from_stream(LearnedStatus(generation=1), stream(transport, certificate))


def test_the_first_certificate_is_held_to_until_another_is_declared() -> None:
    after = learned(certificate=FIRST)
    rtsps = camera(rtsp_scheme=RtspScheme.RTSPS)
    declared = camera(rtsp_scheme=RtspScheme.RTSPS, certificate_fingerprint=DECLARED)
    assert stream_target(rtsps, policy(), LearnedStatus(generation=1), "/", 0).pinned is None
    assert stream_target(rtsps, policy(), after, "/", 0).pinned == FIRST
    assert stream_target(declared, policy(), after, "/", 0).pinned == DECLARED


def test_what_the_onvif_port_has_shown_is_remembered_and_held_to() -> None:
    asked = LearnedStatus(stream_path="/live", scheme="https", certificate=FIRST)
    status = learned_status(asked, 1, None)
    assert (status.scheme, status.certificate) == ("https", FIRST)
    request = ResolveRequest.of(camera(), policy(), status)
    assert request.pinned == FIRST
    assert request.schemes == (Scheme.HTTPS, Scheme.HTTP)


def test_a_declared_certificate_and_declared_https_override_what_was_learnt() -> None:
    asked = LearnedStatus(stream_path="/live", certificate=FIRST)
    declared = camera(scheme=Scheme.HTTPS, certificate_fingerprint=DECLARED)
    request = ResolveRequest.of(declared, policy(), asked)
    assert request.pinned == DECLARED
    assert request.schemes == (Scheme.HTTPS,)


@pytest.mark.parametrize("scheme", list(RtspScheme))
def test_the_declared_scheme_decides_on_tls(scheme: RtspScheme) -> None:
    target = stream_target(camera(rtsp_scheme=scheme), policy(), learned(), "/live?a=1", 30.0)
    assert target.tls is (scheme is RtspScheme.RTSPS)
    assert target.url() == f"{scheme.value}://192.0.2.1:8554/live?a=1"
    assert target.session_timeout_s == 30.0


def test_udp_is_asked_for_first_where_it_was_needed_and_only_where_it_is_allowed() -> None:
    needed = stream_target(camera(), policy(udp=True), learned("udp"), "/", 0)
    assert (needed.udp_allowed, needed.udp_first) == (True, True)
    assert not stream_target(camera(), policy(), learned("udp"), "/", 0).udp_allowed
    assert not stream_target(camera(), policy(udp=True), learned(), "/", 0).udp_first
    forgotten = without_transport(learned("udp"))
    assert not stream_target(camera(), policy(udp=True), forgotten, "/", 0).udp_first


def test_audio_is_asked_for_where_the_policy_wants_it() -> None:
    audio = policy().model_copy(update={"audio": True})
    assert stream_target(camera(), audio, learned(), "/", 0).audio
    assert not stream_target(camera(), policy(), learned(), "/", 0).audio


def test_asking_onvif_again_forgets_nothing_of_the_stream() -> None:
    before = learned("udp", FIRST)
    after = learned_status(before, 2, before)
    assert (after.stream_certificate, after.transport) == (FIRST, "udp")


def test_a_stream_is_opened_for_the_codecs_of_its_policy() -> None:
    h264 = policy().model_copy(update={"video": VideoLimits(codecs=[VideoCodec.H264])})
    assert stream_target(camera(), h264, learned(), "/", 0).codecs == (Codec.H264,)
    assert set(stream_target(camera(), policy(), learned(), "/", 0).codecs) == set(Codec)
