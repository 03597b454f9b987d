# SPDX-License-Identifier: Apache-2.0
"""Which device a Camera stands for, and what is reported when another one answers."""

from __future__ import annotations

from camfleet_api.camera import DeviceStatus
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.camera.identity_watch import IdentityWatch
from camfleet_worker.reporter.facts import Failure

GATE = DeviceStatus(manufacturer="Maker", model="M1", serial_number="AB123456")
OTHER = DeviceStatus(manufacturer="Maker", model="M2", serial_number="CD987654")


def watch_of(device: DeviceStatus) -> IdentityWatch:
    watch = IdentityWatch()
    watch.see(device, None)
    return watch


def test_the_first_device_is_the_one_that_is_meant() -> None:
    watch = watch_of(GATE)
    assert (watch.device, watch.answering, watch.failure) == (GATE, GATE, None)


def test_another_device_is_reported_and_the_first_one_held_on_to() -> None:
    watch = watch_of(GATE)
    watch.see(OTHER, None)
    assert (watch.device, watch.answering) == (GATE, OTHER)
    assert watch.failure is not None
    assert watch.failure.reason is Reason.DEVICE_CHANGED
    watch.see(GATE, None)
    assert watch.failure is None


def test_a_person_who_declares_the_new_serial_number_confirms_the_exchange() -> None:
    watch = watch_of(GATE)
    watch.see(OTHER, "CD987654")
    assert (watch.device, watch.failure) == (OTHER, None)


def test_an_identifier_that_is_missing_now_is_kept() -> None:
    watch = watch_of(GATE)
    watch.see(DeviceStatus(manufacturer="Maker", serial_number="AB123456"), None)
    assert watch.device == GATE


def test_a_former_workers_report_of_an_exchange_holds() -> None:
    changed = Failure(ConditionType.IDENTITY_STABLE, Reason.DEVICE_CHANGED, "As it was.")
    watch = IdentityWatch()
    watch.recall(GATE, (changed,))
    assert (watch.device, watch.failure) == (GATE, changed)


def test_a_shared_identity_is_reported_unless_an_exchange_is_graver() -> None:
    watch, reported = watch_of(GATE), list[Reason | None]()

    def note() -> None:
        reported.append(None if watch.failure is None else watch.failure.reason)

    watch.share("Another camera answers with the same serial number")
    note()
    watch.see(OTHER, None)
    note()
    watch.see(GATE, None)
    watch.share(None)
    note()
    assert reported == [Reason.SHARED_IDENTITY, Reason.DEVICE_CHANGED, None]
