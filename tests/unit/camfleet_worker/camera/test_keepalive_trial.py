# SPDX-License-Identifier: Apache-2.0
"""Which keepalive is tried after a session that ended at its timeout, and when trying ends."""

from __future__ import annotations

import pytest

from camfleet_api.conditions import Reason
from camfleet_worker.camera.keepalive_trial import KeepaliveTrial

AT_TIMEOUT_S = 60.0
SPAN_S = (30.0, 120.0)


def session(trial: KeepaliveTrial, lasted_s: float, reason: Reason = Reason.STREAM_ENDED) -> str:
    """One session of a minute's timeout, watched each second; the method for the next one."""
    trial.begin(0.0, SPAN_S)
    for second in range(int(lasted_s)):
        trial.lasts(float(second))
    trial.ended(lasted_s, reason)
    return trial.method


def test_each_session_that_ends_at_its_timeout_is_followed_by_another_method() -> None:
    trial = KeepaliveTrial()
    assert trial.method == ""
    assert [session(trial, AT_TIMEOUT_S) for _ in range(2)] == ["GET_PARAMETER", "SET_PARAMETER"]
    assert trial.learnt == ""


def test_a_method_by_which_a_session_outlives_its_timeout_is_learnt_and_kept() -> None:
    trial = KeepaliveTrial()
    session(trial, AT_TIMEOUT_S)
    assert session(trial, 1000.0) == "GET_PARAMETER"
    assert trial.learnt == "GET_PARAMETER"
    # A coincidence is no reason to doubt it.
    assert session(trial, AT_TIMEOUT_S) == "GET_PARAMETER"
    assert session(trial, 1000.0) == "GET_PARAMETER"


def test_a_learnt_method_that_helps_no_more_is_replaced() -> None:
    trial = KeepaliveTrial("GET_PARAMETER")
    methods = [session(trial, AT_TIMEOUT_S) for _ in range(4)]
    assert methods == ["GET_PARAMETER", "GET_PARAMETER", "SET_PARAMETER", ""]
    session(trial, 1000.0)
    assert trial.learnt == ""


def test_a_method_for_which_a_camera_closes_is_given_up_at_once() -> None:
    trial = KeepaliveTrial()
    session(trial, AT_TIMEOUT_S)
    assert session(trial, 5.0) == "SET_PARAMETER"


@pytest.mark.parametrize("lasted_s", [1.0, 29.0, 121.0, 86_400.0])
def test_a_camera_that_ends_sessions_at_other_times_is_asked_as_before(lasted_s: float) -> None:
    trial = KeepaliveTrial()
    assert {session(trial, lasted_s) for _ in range(20)} == {""}


def test_a_camera_whose_sessions_last_a_minute_whatever_it_is_asked_is_tried_ever_less() -> None:
    trial = KeepaliveTrial()
    methods = [session(trial, AT_TIMEOUT_S) for _ in range(1000)]
    assert sum(method != "" for method in methods) <= 8
    assert trial.learnt == ""


@pytest.mark.parametrize("reason", [Reason.NO_KEYFRAME, Reason.PROTOCOL_ERROR, Reason.AUDIO_ONLY])
def test_a_session_that_we_end_says_nothing_about_keepalives(reason: Reason) -> None:
    assert session(KeepaliveTrial(), AT_TIMEOUT_S, reason) == ""


def test_silence_at_the_timeout_counts_as_an_end() -> None:
    assert session(KeepaliveTrial(), AT_TIMEOUT_S + 10.0, Reason.NO_FRAMES) == "GET_PARAMETER"
    assert session(KeepaliveTrial(), 35.0, Reason.NO_FRAMES) == "", "it was silent after 25 s"


def test_a_connect_that_fails_says_nothing() -> None:
    trial = KeepaliveTrial()
    for now in range(100):
        trial.ended(float(now), Reason.STREAM_ENDED)
    assert trial.method == ""


def test_what_a_status_holds_that_is_no_method_is_not_sent() -> None:
    assert KeepaliveTrial("TEARDOWN").method == ""
