# SPDX-License-Identifier: Apache-2.0
"""No account is tried more often than twice, whoever asks and however often."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_api.camera import Attempts
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.cluster.errors import ClusterError, Trouble
from camfleet_worker.login.attempts import MOST_ATTEMPTS, SLOW_RETRY, AttemptLedger
from virtual_time import START, VirtualClock, run_virtual

KEY = "account-1"


class Written:
    """Where attempts are written down."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.broken = False

    async def __call__(self, attempts: Attempts) -> None:
        if self.broken:
            raise ClusterError(Trouble.UNAVAILABLE, "no API server")
        self.counts.append(attempts.count)


def refused(reason: Reason = Reason.CREDENTIALS_REJECTED) -> IngestError:
    return IngestError(ConditionType.AUTHENTICATED, reason, "Refused", Retry.ON_SECRET_CHANGE)


async def bad_login(ledger: AttemptLedger, written: Written, schemes: int = 2) -> int:
    """A connect to a device that refuses everything; how many logins it saw."""
    seen = 0
    async with ledger.login(KEY, written) as login:
        for scheme in range(schemes):
            try:
                await login.before_attempt(str(scheme))
            except IngestError:
                break
            seen += 1
            await login.rejected(str(scheme), refused())
    return seen


@given(
    cameras=st.integers(1, 16),
    schemes=st.integers(1, 3),
    restarts=st.integers(0, 3),
    hours=st.integers(0, 3),
)
def test_two_attempts_and_then_one_every_half_hour(
    cameras: int, schemes: int, restarts: int, hours: int
) -> None:
    async def main() -> int:
        clock, written, seen = VirtualClock(), Written(), 0
        ledger = AttemptLedger(clock)
        for _ in range(restarts + 1):
            last = ledger.of(KEY)
            ledger = AttemptLedger(clock)  # another process: only the status is left
            if last is not None:
                ledger.restore(last, refused())
            logins = (bad_login(ledger, written, schemes) for _ in range(cameras))
            seen += sum(await asyncio.gather(*logins))
        for _ in range(2 * hours):
            await asyncio.sleep(SLOW_RETRY.total_seconds())
            seen += await bad_login(ledger, written, schemes)
        return seen

    assert run_virtual(main()) <= MOST_ATTEMPTS + 2 * hours


def test_an_attempt_is_written_before_it_is_made() -> None:
    async def main() -> None:
        written = Written()
        async with AttemptLedger(VirtualClock()).login(KEY, written) as login:
            await login.before_attempt("digest")
            assert written.counts == [1]

    run_virtual(main())


def test_without_an_api_server_only_proven_credentials_are_used() -> None:
    async def main() -> None:
        written = Written()
        written.broken = True
        ledger = AttemptLedger(VirtualClock())
        with pytest.raises(IngestError) as caught:
            async with ledger.login(KEY, written) as login:
                await login.before_attempt("digest")
        assert caught.value.reason is Reason.PENDING
        assert caught.value.retry is Retry.BACKOFF

        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), None)
        async with ledger.login(KEY, written) as login:
            await login.before_attempt("digest")

    run_virtual(main())


def test_the_channels_of_a_recorder_wait_for_the_first_login_and_profit_from_it() -> None:
    async def main() -> None:
        written, attempts = Written(), 0
        ledger = AttemptLedger(VirtualClock())

        async def channel() -> None:
            nonlocal attempts
            async with ledger.login(KEY, written) as login:
                before = len(written.counts)
                await login.before_attempt("digest")
                attempts += len(written.counts) - before
                await asyncio.sleep(1)
                await login.proven("digest")
                login.rtsp_plays()

        await asyncio.gather(*(channel() for _ in range(16)))
        assert attempts == 1

    run_virtual(main())


def test_credentials_that_rtsp_refused_are_not_tried_by_the_next_channel() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        async with ledger.login(KEY, Written()) as login:
            await login.before_attempt("digest")
            await login.proven("digest")
            await login.before_rtsp_attempt()
            login.rtsp_rejected(
                refused(Reason.RTSP_CREDENTIALS_REJECTED), onvif_is_open=False, onvif_asked=True
            )
        async with ledger.login(KEY, Written()) as login:
            with pytest.raises(IngestError) as caught:
                await login.before_rtsp_attempt()
            assert caught.value.reason is Reason.RTSP_CREDENTIALS_REJECTED
        await asyncio.sleep(SLOW_RETRY.total_seconds())
        async with ledger.login(KEY, Written()) as login:
            await login.before_rtsp_attempt()

    run_virtual(main())


def test_a_proven_password_that_rtsp_refuses_without_asking_onvif_is_taken_for_a_changed_one() -> (
    None
):
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), None)
        async with ledger.login(KEY, Written()) as login:
            await login.before_rtsp_attempt()
            refusal = refused(Reason.RTSP_CREDENTIALS_REJECTED)
            error = login.rtsp_rejected(refusal, onvif_is_open=False, onvif_asked=False)
        assert error.reason is Reason.CREDENTIALS_REJECTED
        assert not ledger.proven(KEY)
        held = ledger.of(KEY)
        assert held is not None
        assert held.count == 1

    run_virtual(main())


def test_what_rtsp_alone_has_refused_stays_so_when_it_is_tried_again() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        refusal = refused(Reason.RTSP_CREDENTIALS_REJECTED)
        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), refusal)
        await asyncio.sleep(SLOW_RETRY.total_seconds())
        async with ledger.login(KEY, Written()) as login:
            await login.before_rtsp_attempt()
            error = login.rtsp_rejected(refusal, onvif_is_open=False, onvif_asked=False)
        assert error.reason is Reason.RTSP_CREDENTIALS_REJECTED
        assert ledger.proven(KEY)

    run_virtual(main())


def test_a_login_that_rtsp_accepts_proves_the_account_also_for_the_next_worker() -> None:
    async def main() -> None:
        ledger, written = AttemptLedger(VirtualClock()), Written()
        async with ledger.login(KEY, written) as login:
            await login.before_rtsp_attempt()
            login.rtsp_accepted()
        for _ in range(5):
            held = ledger.of(KEY)
            assert held is not None
            ledger = AttemptLedger(VirtualClock())
            ledger.restore(held, None)
            async with ledger.login(KEY, written) as login:
                await login.before_rtsp_attempt()
        assert written.counts == [1]

    run_virtual(main())


def test_credentials_refused_by_rtsp_behind_an_open_onvif_are_wrong_and_tried_twice() -> None:
    async def main() -> None:
        ledger, written = AttemptLedger(VirtualClock()), Written()
        for _ in range(MOST_ATTEMPTS):
            async with ledger.login(KEY, written) as login:
                await login.before_rtsp_attempt()
                refusal = refused(Reason.RTSP_CREDENTIALS_REJECTED)
                error = login.rtsp_rejected(refusal, onvif_is_open=True, onvif_asked=True)
                assert error.reason is Reason.RTSP_PASSWORD_REJECTED
        async with ledger.login(KEY, written) as login:
            with pytest.raises(IngestError) as caught:
                await login.before_rtsp_attempt()
        assert caught.value.reason is Reason.RTSP_PASSWORD_REJECTED
        assert written.counts == [1, 2]

    run_virtual(main())


def test_a_password_changed_behind_an_open_onvif_is_no_longer_proven() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), None)
        async with ledger.login(KEY, Written()) as login:
            await login.before_rtsp_attempt()
            refusal = refused(Reason.RTSP_CREDENTIALS_REJECTED)
            assert (
                login.rtsp_rejected(refusal, onvif_is_open=True, onvif_asked=True).reason
                is Reason.RTSP_PASSWORD_REJECTED
            )
        assert not ledger.proven(KEY)

    run_virtual(main())


def test_an_rtsp_refusal_outlives_the_worker() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        ledger.restore(
            Attempts(account=KEY, count=1, proven=True, last=START),
            refused(Reason.RTSP_CREDENTIALS_REJECTED),
        )
        async with ledger.login(KEY, Written()) as login:
            with pytest.raises(IngestError):
                await login.before_rtsp_attempt()

    run_virtual(main())


def test_credentials_that_are_refused_later_are_proven_no_longer() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), None)
        written = Written()
        assert await bad_login(ledger, written, schemes=5) <= MOST_ATTEMPTS
        assert not ledger.proven(KEY)

    run_virtual(main())


@given(channels=st.integers(1, 16), hours=st.integers(1, 3))
def test_a_locked_account_is_left_alone_until_the_slow_retry_and_then_tried_once(
    channels: int, hours: int
) -> None:
    async def main() -> list[float]:
        clock, written, seen = VirtualClock(), Written(), []
        ledger = AttemptLedger(clock)

        async def channel() -> None:
            async with ledger.login(KEY, written) as login:
                for scheme in ("digest", "ws-username-token"):
                    await login.before_attempt(scheme)
                    seen.append(asyncio.get_running_loop().time())
                    await login.rejected(scheme, refused(Reason.ACCOUNT_LOCKED))

        for _ in range(60 * hours):
            errors = await asyncio.gather(
                *(channel() for _ in range(channels)), return_exceptions=True
            )
            assert all(
                isinstance(error, IngestError) and error.reason is Reason.ACCOUNT_LOCKED
                for error in errors
            )
            # Restarts and moves in between forget nothing.
            held = ledger.of(KEY)
            assert held is not None
            ledger = AttemptLedger(clock)
            ledger.restore(held, refused(Reason.ACCOUNT_LOCKED))
            await asyncio.sleep(60)
        return seen

    seen = run_virtual(main())
    assert len(seen) == 2 * hours
    assert all(
        after - before >= SLOW_RETRY.total_seconds() for before, after in itertools.pairwise(seen)
    )


def test_after_the_slow_retry_one_attempt_is_made_even_where_one_was_left() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        assert await bad_login(ledger, Written(), schemes=1) == 1
        await asyncio.sleep(SLOW_RETRY.total_seconds())
        assert await bad_login(ledger, Written(), schemes=2) == 1

    run_virtual(main())


def test_an_account_locked_on_rtsp_is_not_tried_on_onvif() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        ledger.restore(Attempts(account=KEY, count=1, proven=True, last=START), None)
        async with ledger.login(KEY, Written()) as login:
            await login.before_rtsp_attempt()
            login.rtsp_rejected(
                refused(Reason.ACCOUNT_LOCKED), onvif_is_open=False, onvif_asked=True
            )
        for door in ("onvif", "rtsp"):
            async with ledger.login(KEY, Written()) as login:
                with pytest.raises(IngestError) as caught:
                    await (
                        login.before_attempt() if door == "onvif" else login.before_rtsp_attempt()
                    )
                assert caught.value.reason is Reason.ACCOUNT_LOCKED

    run_virtual(main())


def test_an_attempt_whose_answer_is_lost_is_an_attempt() -> None:
    async def main() -> None:
        ledger, written = AttemptLedger(VirtualClock()), Written()
        for _ in range(MOST_ATTEMPTS):
            async with ledger.login(KEY, written) as login:
                await login.before_attempt("digest")
        async with ledger.login(KEY, written) as login:
            with pytest.raises(IngestError) as caught:
                await login.before_attempt("digest")
        assert caught.value.reason is Reason.PENDING
        assert "No answer came to the logins" in caught.value.message
        assert written.counts == [1, 2]

    run_virtual(main())


def test_of_two_statuses_the_higher_count_and_the_later_time_hold() -> None:
    async def main() -> None:
        ledger = AttemptLedger(VirtualClock())
        later = START + timedelta(minutes=5)
        ledger.restore(Attempts(account=KEY, count=2, last=START), None)
        ledger.restore(Attempts(account=KEY, count=1, last=later), None)
        held = ledger.of(KEY)
        assert held is not None
        assert (held.count, held.last) == (2, later)

    run_virtual(main())
