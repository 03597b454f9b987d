# SPDX-License-Identifier: Apache-2.0
"""Relays over TLS: pictures arrive, and a certificate that does not verify gets none of them.

GStreamer's server speaks TLS itself; before nginx's RTMP module stands nginx's stream module.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from access_units import access_units
from camera_simulator.footage import prepared_clip
from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec
from camfleet_worker.media_types.sink_state import SinkPhase
from camfleet_worker.relay.name_resolver import Resolver
from camfleet_worker.relay.rtmp.relay import RtmpRelay
from camfleet_worker.relay.rtsp.relay import RtspRelay
from camfleet_worker.relay.target import RelayTarget, StreamNames, relay_target
from camfleet_worker.relay.timings import DEFAULT_TIMINGS, RelayTimings
from eventually import consistently, eventually
from media_pump import MediaPump
from vms import RecordServer, RtmpServer
from vms.authority import Authority

PATH = "/live/gate"
NAMES = StreamNames("phu-yen", "s1", "gate", "0a1b2c3d")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    resolver = Resolver()
    yield resolver
    resolver.close()


def target(url: str, authorities: str, login: Credentials | None = None) -> RelayTarget:
    protocol = RelayProtocol(url.partition(":")[0])
    return relay_target(protocol, url, NAMES, [Codec.H264], login, authorities)


def relay(
    url: str,
    resolver: Resolver,
    authorities: str,
    login: Credentials | None = None,
    timings: RelayTimings = DEFAULT_TIMINGS,
) -> RtspRelay | RtmpRelay:
    where = target(url, authorities, login)
    if where.protocol is RelayProtocol.RTSPS:
        return RtspRelay("vms", where, resolver, jitter=lambda: 0.05, timings=timings)
    return RtmpRelay("vms", where, jitter=lambda: 0.05, timings=timings)


OVER_TLS = (Reason.VMS_CERTIFICATE_INVALID, Reason.VMS_WRONG_PROTOCOL, Reason.VMS_UNREACHABLE)


def working(sink: RtspRelay | RtmpRelay) -> bool:
    return sink.state.phase is SinkPhase.WORKING


def message(sink: RtspRelay | RtmpRelay) -> str:
    error = sink.state.error
    return error.message if error is not None and error.reason in OVER_TLS else ""


@pytest.mark.parametrize("name", ["240p-h264", "720p-h264"])
def test_every_picture_arrives_over_rtsps(
    name: str, authority: Authority, resolver: Resolver
) -> None:
    clip = prepared_clip(name)
    login = Credentials("push", "secret", version="1")
    with RecordServer(username="push", password="secret", certificate=authority.issue()) as vms:
        sink = relay(vms.url(PATH), resolver, authority.pem, login)
        with MediaPump(access_units(clip), sink):
            # This server keeps the last octets of a TLS connection until more come, so what is
            # compared is what has come while pictures went on.
            frames = eventually(
                lambda: found if len(found := vms.frames(PATH)) > 120 else [], within_s=20
            )
        hashes = clip.frame_hashes
        begin = hashes.index(frames[0].sha256)
        assert frames[0].key
        assert [frame.sha256 for frame in frames] == [
            hashes[(begin + number) % len(hashes)] for number in range(len(frames))
        ]
        eventually(lambda: not vms.streams()[PATH].connected)


def test_pictures_arrive_over_rtmps(authority: Authority, resolver: Resolver) -> None:
    with RtmpServer(certificate=authority.issue()) as vms:
        sink = relay(vms.tls_url("{camera}"), resolver, authority.pem)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            stream = eventually(
                lambda: (
                    found
                    if (found := vms.streams().get("gate")) and found.bytes > 100_000
                    else None
                )
            )
            assert stream.video_codec == "H264"
            assert working(sink)


CERTIFICATES = [
    pytest.param({"from_day": -9, "days": 2}, "that has expired", id="expired"),
    pytest.param({"from_day": 2}, "whose validity has not begun", id="of-tomorrow"),
    pytest.param({"address": "127.0.0.2"}, "for another address", id="another-address"),
]


@pytest.mark.parametrize(("certificate", "what"), CERTIFICATES)
@pytest.mark.parametrize("protocol", ["rtsps", "rtmps"])
def test_a_certificate_that_does_not_verify_is_reported_and_gets_no_access_unit(
    protocol: str,
    certificate: dict[str, object],
    what: str,
    authority: Authority,
    resolver: Resolver,
) -> None:
    pem = authority.issue(**certificate)  # type: ignore[arg-type]
    assert_refused(protocol, pem, authority.pem, what, resolver)


@pytest.mark.parametrize("protocol", ["rtsps", "rtmps"])
def test_an_authority_that_is_not_trusted_is_reported_with_the_next_action(
    protocol: str, authority: Authority, resolver: Resolver
) -> None:
    for trusted in ("", Authority().pem):
        assert_refused(protocol, authority.issue(), trusted, "key ca.crt of the Secret", resolver)


def assert_refused(
    protocol: str, certificate: str, trusted: str, what: str, resolver: Resolver
) -> None:
    with server(protocol, certificate) as vms:
        url = vms.url(PATH) if isinstance(vms, RecordServer) else vms.tls_url("{camera}")
        sink = relay(url, resolver, trusted)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: what in message(sink))
            assert sink.state.error is not None
            assert sink.state.error.reason is Reason.VMS_CERTIFICATE_INVALID
            assert url.split("/")[2] in sink.state.error.message
            assert vms.streams() == {}
            assert sink.counters.connects == 0


def server(protocol: str, certificate: str) -> RecordServer | RtmpServer:
    if protocol == "rtsps":
        return RecordServer(certificate=certificate)
    return RtmpServer(certificate=certificate)


@pytest.mark.parametrize("protocol", ["rtsps", "rtmps"])
def test_a_port_without_tls_is_reported(protocol: str, resolver: Resolver) -> None:
    with RtmpServer() as vms:
        sink = relay(f"{protocol}://127.0.0.1:{vms.http_port}/live/gate", resolver, "")
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: "does not agree on TLS" in message(sink))
            assert sink.state.error is not None
            assert sink.state.error.reason is Reason.VMS_WRONG_PROTOCOL
            assert "urlTemplate" in message(sink)


def test_a_port_that_takes_connections_and_shakes_no_hands_stops_nothing(
    resolver: Resolver,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsps://127.0.0.1:{listener.getsockname()[1]}/live/gate"
        sink = relay(url, resolver, "", timings=RelayTimings(answer_s=1.0))
        with MediaPump(access_units(prepared_clip("240p-h264")), sink) as pump:
            eventually(lambda: "does not answer" in message(sink), within_s=20)
            before = len(pump.pushed)
            eventually(lambda: len(pump.pushed) > before + 50)


@pytest.mark.parametrize("protocol", ["rtsps", "rtmps"])
def test_authorities_that_are_no_pem_are_reported(protocol: str, resolver: Resolver) -> None:
    with pytest.raises(IngestError, match=r"ca\.crt") as refused:
        relay(f"{protocol}://vms/live/gate", resolver, "no certificate")
    assert refused.value.reason is Reason.VMS_REJECTED


def test_a_restarted_vms_with_a_renewed_certificate_gets_the_stream_again(
    authority: Authority, resolver: Resolver
) -> None:
    with RecordServer(certificate=authority.issue()) as vms:
        sink = relay(vms.url(PATH), resolver, authority.pem)
        with MediaPump(access_units(prepared_clip("240p-h264")), sink):
            eventually(lambda: working(sink))
            vms.stop()
            eventually(lambda: bool(message(sink)))
            vms.renew(authority.issue())
            vms.start()
            eventually(lambda: working(sink) and len(vms.frames(PATH)) > 25, within_s=40)
            consistently(lambda: working(sink), during_s=1)
