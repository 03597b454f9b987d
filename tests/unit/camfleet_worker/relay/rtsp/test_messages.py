# SPDX-License-Identifier: Apache-2.0
"""The RTSP conversation of a relay, message by message."""

from __future__ import annotations

import base64

import pytest

from camfleet_api.conditions import Reason
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media_types.access_unit import Codec, VideoFormat
from camfleet_worker.media_types.audio_unit import AudioCodec, AudioFormat
from camfleet_worker.relay.rtsp.messages import RecordSession, Step, describe
from camfleet_worker.relay.target import RelayTarget
from camfleet_worker.rtsp.message import Headers, MessageReader, Request, Response

H264 = VideoFormat(Codec.H264, (b"\x67\x42\xc0\x0d\x01", b"\x68\xce"), 320, 240)
H265 = VideoFormat(Codec.H265, (b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc0"), 320, 240)
DIGEST = 'Digest realm="vms", nonce="n1"'


def record_session(login: bool = True, audio: AudioFormat | None = None) -> RecordSession:
    account = Credentials("push", "secret", "1") if login else None
    target = RelayTarget(
        RelayProtocol.RTSP, "vms", 554, "/live/gate", frozenset((Codec.H264,)), account
    )
    return RecordSession(target, H264, session_id=42, audio=audio)


def read(data: bytes) -> Request:
    reader = MessageReader()
    reader.feed(data)
    request = reader.next()
    assert isinstance(request, Request)
    assert reader.next() is None
    return request


def answer(status: int, to: Request, *headers: tuple[str, str]) -> Response:
    return Response(status, "", Headers([("CSeq", str(to.cseq)), *headers]))


def test_announce_setup_record_each_with_login_and_session() -> None:
    session = record_session()
    announce = read(session.open())
    assert (announce.method, announce.uri) == ("ANNOUNCE", "rtsp://vms:554/live/gate")
    assert announce.headers.get("content-type") == "application/sdp"
    assert announce.body == describe(H264, 42)
    assert announce.headers.get("authorization") is None

    again = read(session.answered(answer(401, announce, ("WWW-Authenticate", DIGEST))))
    assert again.method == "ANNOUNCE"
    assert (again.headers.get("authorization") or "").startswith("Digest ")

    setup = read(session.answered(answer(200, again)))
    assert (setup.method, setup.uri) == ("SETUP", "rtsp://vms:554/live/gate/streamid=0")
    assert "mode=record" in (setup.headers.get("transport") or "")
    assert setup.headers.get("authorization")

    record = read(session.answered(answer(200, setup, ("Session", "77;timeout=20"))))
    assert record.method == "RECORD"
    assert record.headers.get("session") == "77"
    assert session.keepalive_interval_s == pytest.approx(20 / 3)

    assert session.answered(answer(200, record)) == b""
    assert session.step is Step.RECORDING
    assert read(session.teardown()).headers.get("session") == "77"


def test_a_second_refusal_is_final() -> None:
    session = record_session()
    first = read(session.open())
    second = read(session.answered(answer(401, first, ("WWW-Authenticate", DIGEST))))
    with pytest.raises(IngestError) as refused:
        session.answered(answer(401, second, ("WWW-Authenticate", DIGEST)))
    assert (refused.value.reason, refused.value.retry) == (
        Reason.VMS_REJECTED,
        Retry.ON_SECRET_CHANGE,
    )


def test_a_stale_nonce_is_no_refusal_but_is_not_believed_for_ever() -> None:
    session = record_session()
    request = read(session.open())
    stale = ("WWW-Authenticate", DIGEST + ", stale=true")
    for _ in range(3):
        request = read(session.answered(answer(401, request, stale)))
    with pytest.raises(IngestError):
        session.answered(answer(401, request, stale))


@pytest.mark.parametrize(
    ("status", "login", "headers", "reason"),
    [
        (401, False, [("WWW-Authenticate", DIGEST)], Reason.VMS_CREDENTIALS_MISSING),
        (401, True, [("WWW-Authenticate", "Negotiate")], Reason.VMS_REJECTED),
        (401, True, [], Reason.VMS_REJECTED),
        (403, True, [], Reason.VMS_REJECTED),
        (415, True, [], Reason.VMS_CODEC_UNSUPPORTED),
        (503, True, [], Reason.VMS_REJECTED),
    ],
)
def test_refusals_have_their_reasons(
    status: int, login: bool, headers: list[tuple[str, str]], reason: Reason
) -> None:
    session = record_session(login)
    request = read(session.open())
    with pytest.raises(IngestError) as refused:
        session.answered(answer(status, request, *headers))
    assert refused.value.reason is reason
    assert "secret" not in refused.value.message


def test_no_teardown_before_there_is_a_session() -> None:
    session = record_session()
    session.open()
    assert session.teardown() == b""


def test_the_description_carries_the_parameter_sets() -> None:
    text = describe(H264, 1).decode()
    sets = ",".join(base64.b64encode(unit).decode() for unit in H264.parameter_sets)
    assert f"profile-level-id=42C00D;sprop-parameter-sets={sets}" in text
    text = describe(H265, 1).decode()
    for name, unit in zip(("vps", "sps", "pps"), H265.parameter_sets, strict=True):
        assert f"sprop-{name}={base64.b64encode(unit).decode()}" in text


@pytest.mark.parametrize("status", [200, 415, 461])
def test_audio_is_set_up_beside_the_pictures_and_its_refusal_stops_nothing(status: int) -> None:
    audio = AudioFormat(AudioCodec.PCMU, 8_000, 1)
    session = record_session(login=False, audio=audio)
    announce = read(session.open())
    assert b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000\r\na=control:streamid=1" in announce.body
    pictures = read(session.answered(answer(200, announce)))
    setup = read(session.answered(answer(200, pictures, ("Session", "77"))))
    assert (setup.method, setup.uri) == ("SETUP", "rtsp://vms:554/live/gate/streamid=1")
    assert "interleaved=2-3" in (setup.headers.get("transport") or "")
    record = read(session.answered(answer(status, setup)))
    assert record.method == "RECORD"
    session.answered(answer(200, record))
    assert session.step is Step.RECORDING
    assert session.audio_accepted == (status == 200)


SETTLED = pytest.mark.parametrize(
    ("transport", "refusal"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=0-1;mode=record", ""),
        ("RTP/AVP/TCP;unicast", ""),
        ("RTP/AVP;unicast;client_port=9000-9001;server_port=9002-9003", "UDP"),
        ("RTP/AVP/UDP;unicast;server_port=9002-9003", "UDP"),
        ("RTP/AVP/TCP;unicast;interleaved=4-5", "other channels"),
        ("RAW/RAW/UDP;unicast", "not RTP over this connection"),
        ("", "not RTP over this connection"),
    ],
)


@SETTLED
def test_what_setup_settles_on_is_read_before_anything_is_sent(
    transport: str, refusal: str
) -> None:
    session = record_session(login=False)
    setup = read(session.answered(answer(200, read(session.open()))))
    answered = answer(200, setup, ("Session", "77"), ("Transport", transport))
    if not refusal:
        assert session.answered(answered)
        return
    with pytest.raises(IngestError) as caught:
        session.answered(answered)
    assert caught.value.reason is Reason.VMS_REJECTED
    assert refusal in caught.value.detail


@SETTLED
def test_audio_that_is_wanted_in_another_way_costs_the_audio_alone(
    transport: str, refusal: str
) -> None:
    audio = AudioFormat(AudioCodec.PCMU, 8_000, 1)
    session = record_session(login=False, audio=audio)
    setup = read(session.answered(answer(200, read(session.open()))))
    setup = read(session.answered(answer(200, setup, ("Session", "77"))))
    transport = transport.replace("interleaved=0-1", "interleaved=2-3")
    record = read(session.answered(answer(200, setup, ("Transport", transport))))
    assert record.method == "RECORD"
    assert session.audio_accepted == (not refusal)


def test_a_session_that_is_given_at_announce_is_named_from_then_on() -> None:
    session = record_session(login=False)
    setup = read(session.answered(answer(200, read(session.open()), ("Session", "77"))))
    assert setup.headers.get("session") == "77"
    record = read(session.answered(answer(200, setup)))
    assert (record.method, record.headers.get("session")) == ("RECORD", "77")


@pytest.mark.parametrize(("login", "retry"), [(True, Retry.SLOW), (False, Retry.BACKOFF)])
def test_403_is_about_an_account_only_where_one_was_sent(login: bool, retry: Retry) -> None:
    session = record_session(login=login)
    announce = read(session.open())
    if login:
        challenge = answer(401, announce, ("WWW-Authenticate", DIGEST))
        announce = read(session.answered(challenge))
    with pytest.raises(IngestError) as caught:
        session.answered(answer(403, announce))
    assert (caught.value.reason, caught.value.retry) == (Reason.VMS_REJECTED, retry)


def recording_session(session_header: str) -> RecordSession:
    session = record_session()
    announce = read(session.open())
    setup = read(session.answered(answer(200, announce)))
    record = read(session.answered(answer(200, setup, ("Session", session_header))))
    session.answered(answer(200, record))
    assert session.step is Step.RECORDING
    return session


def test_keepalives_are_those_of_a_session_with_a_camera() -> None:
    session = recording_session("77;timeout=30")
    assert session.keepalive_interval_s == 10
    first = read(session.keepalive())
    assert (first.method, first.uri) == ("OPTIONS", "rtsp://vms:554/live/gate")
    assert first.headers.get("session") == "77"
    public = ("Public", "OPTIONS, GET_PARAMETER, RECORD")
    assert session.answered_while_recording(answer(200, first, public)) == b""
    assert read(session.keepalive()).method == "GET_PARAMETER"


def test_a_keepalive_whose_nonce_is_too_old_is_repeated_with_the_new_one() -> None:
    session = recording_session("77")
    first = read(session.keepalive())
    stale = ("WWW-Authenticate", DIGEST + ", stale=true")
    again = read(session.answered_while_recording(answer(401, first, stale)))
    assert (again.headers.get("authorization") or "").startswith("Digest ")


def test_only_a_lost_session_ends_the_recording() -> None:
    session = recording_session("77")
    first = read(session.keepalive())
    assert session.answered_while_recording(answer(500, first)) == b""
    with pytest.raises(IngestError, match="has forgotten the session"):
        session.answered_while_recording(Response(454, "", Headers([("CSeq", "0")])))
