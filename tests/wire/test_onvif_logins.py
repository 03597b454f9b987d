# SPDX-License-Identifier: Apache-2.0
"""Logging in by ONVIF to cameras with wrong clocks, half a clock, replay guards, and one scheme
for each service. Attempts are counted where they count: at the camera, and in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camera_simulator.counters import Verdict
from camera_simulator.faults import FAULTS
from camfleet_api.camera import Attempts, LearnedStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_worker.base.clock import wall_clock
from camfleet_worker.base.errors import IngestError
from camfleet_worker.base.skipped import SKIPPED, Part
from camfleet_worker.login.attempts import AttemptLedger
from camfleet_worker.login.credentials import Credentials
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.resolve import Resolution, clock_trouble
from onvif_asking import request_for, streams
from rtsp_ingest import PASSWORD, RIGHT

HOUR_S = 3600
DAY_S = 24 * HOUR_S
WRONG = Credentials("ingest", "not the password", "1")
WINDOW_S = 5.0


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    built = OnvifResolver()
    yield built
    built.close()


async def camera_with(simulator: Simulator, *faults: str, **settings: Any) -> Camera:
    return await simulator.add(
        CameraSettings("gate", **({"password": PASSWORD} | settings), faults=faults)
    )


class Worker:
    """One worker after another that asks a camera: what one wrote down, the next one reads."""

    def __init__(self, camera: Camera, resolver: OnvifResolver) -> None:
        self._camera = camera
        self._resolver = resolver
        self._ledger = AttemptLedger(wall_clock)
        self._key = ""
        self._refusal: IngestError | None = None
        self.written: list[Attempts] = []

    async def resolve(
        self, credentials: Credentials = RIGHT, learned: LearnedStatus | None = None
    ) -> Resolution:
        self._key = credentials.account_key(
            DeviceAddress(self._camera.host, self._camera.onvif_port)
        )
        request = request_for(self._camera, learned=learned)
        async with self._ledger.login(self._key, self._write_down) as gate:
            return await self._resolver.resolve(request, credentials, attempts=gate)

    async def refused(self, credentials: Credentials = RIGHT) -> IngestError:
        with pytest.raises(IngestError) as caught:
            await self.resolve(credentials)
        assert len(caught.value.message) <= 512
        assert credentials.password not in caught.value.message
        self._refusal = caught.value
        return caught.value

    def restart(self) -> None:
        """A new process with nothing but what stands in the Camera's status."""
        attempts = self._ledger.of(self._key)
        self._ledger = AttemptLedger(wall_clock)
        if attempts is not None:
            self._ledger.restore(attempts, self._refusal)

    async def _write_down(self, attempts: Attempts) -> None:
        seen = self._camera.counters
        assert seen.accepted() or seen.refused() < attempts.count, "written before it is made"
        self.written.append(attempts)


def by_clock(camera: Camera) -> int:
    """Logins that the camera refused for their time."""
    attempts = camera.counters.attempts.items()
    return sum(count for attempt, count in attempts if attempt.verdict is Verdict.CLOCK)


# Clocks that are wrong (quirk 1)


@pytest.mark.quirk(1)
@pytest.mark.parametrize(
    ("offset_s", "told"),
    [
        (6, "seconds ahead of"),
        (-6, "seconds behind"),
        (HOUR_S, "1 hour ahead of"),
        (-HOUR_S, "1 hour behind"),
        (-180 * DAY_S, "180 days behind"),
    ],
)
async def test_a_camera_with_a_wrong_clock_is_logged_in_to_by_its_time_and_reported(
    simulator: Simulator,
    resolver: OnvifResolver,
    media_loop: MediaLoop,
    offset_s: int,
    told: str,
) -> None:
    # Half a second more, for cameras tell whole ones.
    camera = await camera_with(
        simulator,
        "wsse-only",
        "clock-window-5s",
        clock_offset_s=offset_s + (0.6 if offset_s > 0 else -0.6),
    )
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert resolution.learned.auth_scheme == "ws-username-token"
    assert abs((resolution.learned.clock_offset_seconds or 0) - offset_s) <= 2
    trouble = clock_trouble(resolution.learned.clock_offset_seconds)
    assert trouble is not None
    assert trouble.reason is Reason.CLOCK_OFF
    assert trouble.detail == f"The camera's clock is {told} ours"
    await streams(camera, resolution, media_loop)


# Clocks that are half told (quirk 2)


@pytest.mark.quirk(2)
@pytest.mark.parametrize("fault", ["date-needs-login", "date-missing", "date-empty"])
async def test_the_date_header_gives_the_time_that_onvif_does_not(
    simulator: Simulator, resolver: OnvifResolver, fault: str
) -> None:
    faults = ("wsse-only", "clock-window-5s", fault, "clock-184-days-behind")
    camera = await camera_with(simulator, *faults, date_header="right")
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert abs((resolution.learned.clock_offset_seconds or 0) + 184 * DAY_S) <= 2


@pytest.mark.quirk(2)
async def test_a_local_time_alone_is_taken_without_its_whole_hours(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "wsse-only", "clock-window-5s", "date-local-alone")
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert clock_trouble(resolution.learned.clock_offset_seconds) is None


@pytest.mark.quirk(2)
@pytest.mark.parametrize("scheme", ["digest-only", "wsse-only"])
async def test_a_guarded_time_is_asked_again_once_logged_in(
    simulator: Simulator, resolver: OnvifResolver, scheme: str
) -> None:
    offset_s = -20.0 if scheme == "wsse-only" else -180.0 * DAY_S
    camera = await camera_with(simulator, scheme, "date-needs-login", clock_offset_s=offset_s)
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert abs((resolution.learned.clock_offset_seconds or 0) - offset_s) <= 2


@pytest.mark.quirk(2)
async def test_a_camera_without_any_time_gets_a_login_signed_with_ours(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "wsse-only", "date-missing")
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    trouble = clock_trouble(resolution.learned.clock_offset_seconds)
    assert trouble is not None
    assert trouble.reason is Reason.CLOCK_UNREADABLE

    await camera.change(clock_offset_s=-180.0 * DAY_S)
    worker = Worker(camera, resolver)
    error = await worker.refused()
    assert (error.condition, error.reason) == (
        ConditionType.AUTHENTICATED,
        Reason.CLOCK_SKEW_REJECTED,
    )
    assert error.message == (
        "The camera does not tell its time and refuses the login that is signed with ours: its "
        "clock is wrong, or the user name or the password. Set the camera's time zone and its time "
        "server; if that does not help, check the user name and the password."
    )
    assert camera.counters.refused() == 1


# UTC that is local time (quirk 3)


@pytest.mark.quirk(3)
async def test_a_utc_field_with_local_time_costs_one_refused_login_and_once_only(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(
        simulator, "wsse-only", "clock-window-5s", "date-carries-local-time", "locks-after-5"
    )
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    assert (camera.counters.refused(), by_clock(camera)) == (1, 1)
    assert [attempts.count for attempts in worker.written] == [1, 2]
    assert clock_trouble(resolution.learned.clock_offset_seconds) is None, "its clock is right"
    await streams(camera, resolution, media_loop)

    # What was learnt is signed with from now on, in this worker and in the next.
    worker.restart()
    await worker.resolve(learned=resolution.learned)
    assert camera.counters.refused() == 1

    # Somebody sets the clock to local time, so that UTC is what it says: learnt anew.
    await camera.change(
        clock_offset_s=7.0 * HOUR_S, faults=("wsse-only", "clock-window-5s", "locks-after-5")
    )
    again = await worker.resolve(learned=resolution.learned)
    assert again.learned.clock_offset_seconds is not None
    assert abs(again.learned.clock_offset_seconds - 7 * HOUR_S) <= 2
    assert camera.counters.refused() == 2
    await worker.resolve(learned=again.learned)
    assert camera.counters.refused() == 2


@pytest.mark.quirk(3)
@pytest.mark.parametrize("scheme", ["wsse-only", "digest-only"])
async def test_the_date_header_distinguishes_local_time_from_utc_without_an_attempt(
    simulator: Simulator, resolver: OnvifResolver, scheme: str
) -> None:
    camera = await camera_with(
        simulator, scheme, "clock-window-5s", "date-carries-local-time", date_header="right"
    )
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert clock_trouble(resolution.learned.clock_offset_seconds) is None


@pytest.mark.quirk(3)
async def test_digest_needs_no_clock_and_goes_first(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "clock-window-5s", "date-carries-local-time")
    resolution = await Worker(camera, resolver).resolve()
    assert resolution.learned.auth_scheme == "digest"
    assert camera.counters.refused() == 0


# Clocks that step (quirk 4)


@pytest.mark.quirk(4)
async def test_a_clock_that_steps_between_two_calls_is_asked_again_and_learnt_anew(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(
        simulator, "wsse-only", "clock-window-5s", "clock-steps-between-calls", "locks-after-5"
    )
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    assert (camera.counters.refused(), by_clock(camera)) == (1, 1)
    assert [attempts.count for attempts in worker.written] == [1], "proven ones stay proven"
    assert resolution.learned.clock_offset_seconds is not None
    assert abs(resolution.learned.clock_offset_seconds - HOUR_S) <= 2
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(4)
@pytest.mark.parametrize(
    ("step_s", "cost"), [(-90 * 60, 0), (-HOUR_S, 1)], ids=["a-step", "whole-hours"]
)
async def test_a_clock_that_steps_while_the_camera_streams_costs_one_login_at_most(
    simulator: Simulator, resolver: OnvifResolver, step_s: int, cost: int
) -> None:
    camera = await camera_with(simulator, "wsse-only", "clock-window-5s")
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    await camera.change(clock_offset_s=float(step_s))
    again = await worker.resolve(learned=resolution.learned)
    assert camera.counters.refused() == cost
    assert again.learned.clock_offset_seconds is not None
    assert abs(again.learned.clock_offset_seconds - step_s) <= 2


@pytest.mark.quirk(4)
async def test_a_clock_that_steps_before_the_first_login_leaves_one_attempt_for_it(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    # Three days: nothing that a time zone explains.
    camera = await camera_with(simulator, "wsse-only", "clock-window-5s")
    worker = Worker(camera, resolver)
    await camera.change(clock_step_s=3.0 * DAY_S, clock_steps_after=1)
    resolution = await worker.resolve()
    assert camera.counters.refused() == 1
    assert abs((resolution.learned.clock_offset_seconds or 0) - 3 * DAY_S) <= 2


# Replays (quirk 5)


@pytest.mark.quirk(5)
async def test_no_call_repeats_a_nonce_or_is_older_than_the_one_before(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(simulator, "refuses-replays", clock_offset_s=-90.0)
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    for _ in range(4):
        resolution = await worker.resolve(learned=resolution.learned)
    assert camera.counters.refused() == 0
    assert camera.counters.accepted("onvif", "wsse") >= 15
    await streams(camera, resolution, media_loop)


# Digest only, here or there (quirk 6)


@pytest.mark.quirk(6)
async def test_each_service_is_logged_in_to_in_its_own_way(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    camera = await camera_with(simulator, "digest-for-media-alone", "clock-an-hour-ahead")
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    assert camera.counters.refused() == 0
    assert len(worker.written) == 1, "the account is proven by the first scheme"
    assert camera.counters.accepted("onvif", "wsse") >= 2, "before and after the media service"
    assert camera.counters.accepted("onvif", "digest") >= 2
    assert resolution.device.mac_address
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(6)
@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
async def test_digest_is_answered_by_every_algorithm_for_the_very_uri_and_nonce(
    simulator: Simulator, resolver: OnvifResolver, algorithm: str
) -> None:
    camera = await camera_with(
        simulator,
        "digest-only",
        "nonce-per-url",
        "clock-184-days-behind",
        digest_algorithms=(algorithm,),
    )
    resolution = await Worker(camera, resolver).resolve()
    assert camera.counters.refused() == 0
    assert resolution.learned.auth_scheme == "digest"


# Locked accounts (quirk 9)

REJECTED = (
    "The camera refuses the user name or the password (WS-UsernameToken); the camera says {}. "
    "Put the right password into the Secret and the account among the camera's ONVIF users; "
    "the next attempt follows the Secret's change."
)


@pytest.mark.quirk(9)
async def test_the_attempts_left_in_a_cameras_answer_reach_the_message(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, "wsse-only", "tells-attempts")
    error = await Worker(camera, resolver).refused(WRONG)
    assert error.reason is Reason.CREDENTIALS_REJECTED
    assert error.message == REJECTED.format("4 attempts are left")


@pytest.mark.quirk(9)
@pytest.mark.parametrize("faults", [(), ("date-carries-local-time", "wsse-only")])
async def test_the_last_login_before_a_lock_is_left_to_people(
    simulator: Simulator, resolver: OnvifResolver, faults: tuple[str, ...]
) -> None:
    # Two ways of logging in, or two readings of the clock: there is something left to try.
    camera = await camera_with(simulator, *faults, tells_attempts=True, lockout_after=2)
    worker = Worker(camera, resolver)
    error = await worker.refused(WRONG)
    assert "; the camera says 1 attempt is left. " in error.message
    for _ in range(3):
        worker.restart()
        again = await worker.refused(WRONG)
        assert (again.reason, again.message) == (error.reason, error.message)
    assert camera.counters.refused() == 1


@pytest.mark.quirk(9)
async def test_a_locked_account_is_distinguished_from_a_wrong_password_and_left_alone(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    camera = await camera_with(simulator, tells_attempts=True, lockout_after=1)
    worker = Worker(camera, resolver)
    error = await worker.refused(WRONG)
    assert (error.condition, error.reason) == (
        ConditionType.AUTHENTICATED,
        Reason.ACCOUNT_LOCKED,
    )
    assert error.message == (
        "The camera says that the account is locked. "
        "Wait until the camera unlocks it or unlock it there, then check the Secret."
    )
    worker.restart()
    assert (await worker.refused(WRONG)).reason is Reason.ACCOUNT_LOCKED
    assert camera.counters.refused() == 1


# Whatever the camera does, two at most

OF_LOGINS = [
    name for name, fault in FAULTS.items() if fault.quirk in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
]


@pytest.mark.quirk(9)
@pytest.mark.parametrize("scheme", ["as it is", "wsse-only", "digest-only"])
@pytest.mark.parametrize("fault", OF_LOGINS)
async def test_a_wrong_password_costs_two_logins_at_most_over_any_number_of_restarts(
    simulator: Simulator, resolver: OnvifResolver, fault: str, scheme: str
) -> None:
    faults = (fault,) if scheme == "as it is" else (scheme, fault)
    camera = await camera_with(simulator, *faults)
    worker = Worker(camera, resolver)
    for _ in range(3):
        error = await worker.refused(WRONG)
        assert error.condition in (
            ConditionType.AUTHENTICATED,
            ConditionType.ELIGIBLE,
            ConditionType.REACHABLE,
        )
        worker.restart()
    assert camera.counters.refused() <= 2
    assert len(worker.written) <= 2
    assert all(wall_clock() - attempts.last < timedelta(minutes=1) for attempts in worker.written)


# Challenges in many forms (quirk 59)

FORMS = [fault.name for fault in FAULTS.values() if fault.name.startswith("challenge-")]


@pytest.mark.quirk(59)
@pytest.mark.parametrize("form", FORMS)
async def test_a_challenge_in_any_form_is_answered_over_http_and_over_rtsp(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, form: str
) -> None:
    camera = await camera_with(simulator, form, resolution="240p")
    worker = Worker(camera, resolver)
    resolution = await worker.resolve()
    assert resolution.learned.auth_scheme == "digest"
    await streams(camera, resolution, media_loop)
    assert camera.counters.refused() == 0
    assert len(worker.written) == 1


@pytest.mark.quirk(59)
async def test_an_element_that_cannot_be_read_is_counted_and_logged_once(
    simulator: Simulator,
    resolver: OnvifResolver,
    media_loop: MediaLoop,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="camfleet_worker.base.skipped")
    counted = SKIPPED.counts[Part.CHALLENGE]
    camera = await camera_with(simulator, "challenge-parameter-without-value", resolution="240p")
    resolution = await Worker(camera, resolver).resolve()
    await streams(camera, resolution, media_loop)
    await streams(camera, resolution, media_loop)
    assert SKIPPED.counts[Part.CHALLENGE] > counted + 2
    lines = [(vars(one)["address"], vars(one)["cause"]) for one in caplog.records]
    assert lines == [
        (f"{camera.host}:{camera.onvif_port}", "strict"),
        (f"{camera.host}:{camera.rtsp_port}", "strict"),
    ]
