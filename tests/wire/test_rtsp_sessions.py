# SPDX-License-Identifier: Apache-2.0
"""Sessions: who may have one, how they are kept alive, and what does not come in them.

Real sockets against the replay server; each ends in the clip, or in the exact condition, reason and
message.
"""

from __future__ import annotations

import pytest

from camera_simulator import Simulator
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import Retry
from camfleet_worker.login.challenges import parse_challenges
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.media.watchdog import Patience
from eventually import eventually_async
from rtsp_ingest import Ingest, camera_settings, first_error, is_the_clip

WRONG = Credentials("ingest", "wrong", "1")


@pytest.mark.quirk(7)
@pytest.mark.quirk(8)
@pytest.mark.quirk(11)
@pytest.mark.parametrize(
    "fault", ["digest-sha-256", "digest-sha-256-sess", "digest-many", "nonce-per-url"]
)
async def test_each_digest_opens_the_stream_with_one_attempt(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(5)
    assert ingest.attempts == 1
    assert camera.counters.refused("rtsp") == 0


@pytest.mark.quirk(8)
async def test_of_many_challenges_the_strongest_is_answered(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("digest-many",)))
    (header,) = camera.doorkeeper.challenges(camera.effective, "rtsp")
    assert [c.scheme for c in parse_challenges([header])] == ["basic", "digest", "digest"]
    await camera.change(digest_refused=("MD5",))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    assert (ingest.attempts, camera.counters.accepted("rtsp", "basic")) == (1, 0)


@pytest.mark.quirk(8)
async def test_the_next_kind_of_login_is_tried_once_where_the_strongest_is_broken(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("digest-sha-256-broken",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(5)
    assert ingest.attempts == 2
    assert camera.counters.refused("rtsp") == 1


@pytest.mark.quirk(9)
async def test_a_wrong_password_spends_two_attempts_at_most_whatever_is_offered(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("digest-many", "locks-after-5")))
    ingest = Ingest(camera, media_loop, WRONG)
    error = await ingest.refused()
    assert error.reason is Reason.RTSP_CREDENTIALS_REJECTED
    assert ingest.attempts == camera.counters.refused("rtsp") == 2


@pytest.mark.quirk(9)
async def test_few_attempts_left_are_left_alone_and_a_locked_account_is_named(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(tells_attempts=True, lockout_after=3, digest_algorithms=("MD5", "SHA-256"))
    )
    careful = Ingest(camera, media_loop, WRONG)
    error = await careful.refused()
    assert error.reason is Reason.RTSP_CREDENTIALS_REJECTED
    assert careful.attempts == 1, "two more and the camera locks the account"
    for _ in range(2):
        await Ingest(camera, media_loop, WRONG).refused()
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason, error.retry) == (
        ConditionType.AUTHENTICATED,
        Reason.ACCOUNT_LOCKED,
        Retry.ON_SECRET_CHANGE,
    )
    assert error.detail == "RTSP says that the account is locked"


@pytest.mark.quirk(28)
@pytest.mark.parametrize(("fault", "status"), [("one-session", 453), ("session-limit-403", 403)])
async def test_a_camera_without_a_free_session_is_reported_with_the_likely_cause_and_left_alone(
    simulator: Simulator, media_loop: MediaLoop, fault: str, status: int
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    await Ingest(camera, media_loop).play()
    second = Ingest(camera, media_loop, session_timeout_s=30.0)
    error = await second.refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.SESSION_LIMIT)
    assert error.detail == (
        f"The camera answers SETUP with {status}: its sessions are taken, by other viewers, "
        "a recorder, or one of ours that it has not closed yet"
    ) + (
        "; where nobody else watches, this account may not view live video" if status == 403 else ""
    )
    assert error.retry_after_s == 30.0


@pytest.mark.quirk(28)
async def test_a_lost_session_that_lingers_is_waited_out(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("sessions-linger",)))
    lost = await Ingest(camera, media_loop).open()
    lost.socket.close()
    await eventually_async(lambda: camera.counters.sessions_lost == 1)
    ingest = Ingest(camera, media_loop, session_timeout_s=float(lost.session.timeout_s))
    error = await ingest.refused()
    assert (error.reason, error.retry_after_s) == (Reason.SESSION_LIMIT, 2.0)
    await eventually_async(lambda: camera.counters.sessions_open == 0)
    await ingest.play()
    await ingest.received(3)


@pytest.mark.quirk(28)
async def test_the_answer_of_the_camera_gives_the_wait(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(rtsp_refuses="SETUP", rtsp_refusal=453, rtsp_retry_after_s=17)
    )
    assert (await Ingest(camera, media_loop).refused()).retry_after_s == 17


@pytest.mark.quirk(28)
async def test_a_handshake_that_fails_after_setup_gives_its_place_back(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(
        camera_settings(max_sessions=1, sessions_linger=True, rtsp_refuses="PLAY", rtsp_refusal=500)
    )
    error = await Ingest(camera, media_loop).refused()
    assert error.reason is Reason.STREAM_REFUSED
    await eventually_async(lambda: camera.counters.sessions_open == 0)
    assert (camera.counters.teardowns, camera.counters.sessions_lost) == (1, 0)


@pytest.mark.quirk(28)
@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (404, "it knows no such stream"),
        (500, "it failed inside"),
        (503, "it is overloaded or still starting"),
    ],
)
async def test_other_refusals_have_their_reasons(
    simulator: Simulator, media_loop: MediaLoop, status: int, meaning: str
) -> None:
    camera = await simulator.add(camera_settings(rtsp_refuses="SETUP", rtsp_refusal=status))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.STREAM_REFUSED)
    assert error.detail == f"The camera answers SETUP with {status}: {meaning}"


@pytest.mark.quirk(29)
@pytest.mark.parametrize(
    "fault",
    [
        "keepalive-options-only",
        "keepalive-get-parameter-only",
        "keepalive-set-parameter-only",
        "keepalive-reports-only",
    ],
)
async def test_a_session_lives_on_by_whatever_its_camera_counts(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(125)  # five seconds, two timeouts and a half
    assert camera.counters.sessions_expired == 0
    assert is_the_clip(ingest.units, camera)


@pytest.mark.quirk(29)
@pytest.mark.parametrize(
    "server_knows", [("GET_PARAMETER",), ("OPTIONS",), ("SET_PARAMETER", "OPTIONS")]
)
async def test_methods_that_the_camera_does_not_know_are_not_asked_again(
    simulator: Simulator, media_loop: MediaLoop, server_knows: tuple[str, ...]
) -> None:
    camera = await simulator.add(
        camera_settings(rtsp_methods=server_knows, keepalive=server_knows, session_timeout_s=2)
    )
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(90)
    assert camera.counters.sessions_expired == 0
    asked = camera.counters.rtsp_requests
    for method in {"OPTIONS", "GET_PARAMETER", "SET_PARAMETER"} - set(server_knows):
        assert asked[method] <= 1


@pytest.mark.quirk(29)
@pytest.mark.parametrize(
    ("fault", "most_s"),
    [("timeout-unstated", 10.0), ("timeout-absurd", 10.0), ("session-timeout-10s", 2.5)],
)
async def test_keepalives_come_often_enough_for_timeouts_unstated_absurd_and_short(
    simulator: Simulator, media_loop: MediaLoop, fault: str, most_s: float
) -> None:
    camera = await simulator.add(camera_settings(faults=(fault,)))
    stream = await Ingest(camera, media_loop).play()
    await eventually_async(lambda: camera.counters.rtsp_requests["OPTIONS"] == 1)
    await eventually_async(lambda: stream.session.keepalive_interval_s <= most_s)


@pytest.mark.quirk(30)
async def test_every_keepalive_names_its_session(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("keepalive-wants-session",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    await ingest.received(125)
    assert camera.counters.sessions_expired == 0
    assert ingest.counters.keepalives >= 3


@pytest.mark.quirk(31)
async def test_packets_of_a_dead_session_do_not_get_into_the_new_one(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("dead-session-packets",)))
    ingest = Ingest(camera, media_loop)
    stream = await ingest.play()
    await ingest.received(60)
    assert is_the_clip(ingest.units, camera)
    assert stream.ids.rtp != 0, "the dead session has that channel"
    assert ingest.counters.lost_packets == 0


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_packets_s=0.5)])
async def test_a_session_without_packets_gives_no_frames(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("frozen",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.NO_FRAMES)
    await eventually_async(lambda: camera.counters.teardowns == 1)


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_key_frame_s=0.5)])
async def test_packets_without_a_key_frame_give_no_keyframe(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(media="p-frames-only"))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.NO_KEYFRAME)


@pytest.mark.quirk(39)
@pytest.mark.parametrize("patience", [Patience(no_packets_s=0.5)])
async def test_audio_without_video_gives_audio_only(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("audio-without-picture",)))
    ingest = Ingest(camera, media_loop)
    await ingest.play()
    error = await first_error(ingest)
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.AUDIO_ONLY)


@pytest.mark.quirk(39)
async def test_a_stream_described_without_video_gives_audio_only(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("audio-only",)))
    error = await Ingest(camera, media_loop).refused()
    assert (error.condition, error.reason) == (ConditionType.STREAMING, Reason.AUDIO_ONLY)
    assert error.detail == "The stream offers PCMA audio and no video"


@pytest.mark.quirk(9)
async def test_a_locked_account_is_named_from_what_the_camera_writes(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("tells-attempts",)))
    for _ in range(5):
        await Ingest(camera, media_loop, WRONG).refused()
    refused = camera.counters.refused("rtsp")
    error = await Ingest(camera, media_loop).refused()
    assert error.reason is Reason.ACCOUNT_LOCKED
    assert camera.counters.refused("rtsp") == refused + 1


@pytest.mark.quirk(11)
@pytest.mark.parametrize("schemes", [("basic",), ("digest",)])
async def test_a_password_with_everything_in_it_opens_the_stream(
    simulator: Simulator, media_loop: MediaLoop, schemes: tuple[str, ...]
) -> None:
    camera = await simulator.add(camera_settings(faults=("odd-password",), rtsp_schemes=schemes))
    odd = Credentials("ingest", camera.effective.password or "", "1")
    ingest = Ingest(camera, media_loop, odd)
    await ingest.play()
    await ingest.received(3)
    assert (ingest.attempts, camera.counters.refused("rtsp")) == (1, 0)


@pytest.mark.quirk(7)
async def test_a_realm_that_is_not_ascii_opens_the_stream(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await simulator.add(camera_settings(faults=("realm-not-ascii",)))
    ingest = Ingest(camera, media_loop)
    stream = await ingest.open()
    stream.socket.close()
    assert (ingest.attempts, camera.counters.refused("rtsp")) == (1, 0)


@pytest.mark.quirk(11)
@pytest.mark.parametrize("scheme", ["basic", "digest"])
@pytest.mark.parametrize("password", ["@", "#%^", "/?x=y", ':":', "\\ \\", "mật khẩu", "a" * 64])
async def test_odd_passwords_open_the_stream_as_they_stand(
    simulator: Simulator, media_loop: MediaLoop, password: str, scheme: str
) -> None:
    camera = await simulator.add(camera_settings(password=password, rtsp_schemes=(scheme,)))
    ingest = Ingest(camera, media_loop, Credentials("ingest", password, "1"))
    stream = await ingest.open()
    stream.socket.close()
    assert (ingest.attempts, camera.counters.refused("rtsp")) == (1, 0)
