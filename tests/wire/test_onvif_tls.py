# SPDX-License-Identifier: Apache-2.0
"""https where http was declared, certificates that nobody signed, and those that change."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import Iterator

import pytest

from camera_simulator import CameraSettings, Simulator
from camera_simulator.certificates import fingerprint
from camfleet_api.camera import Scheme
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.transport import Deadlines
from camfleet_worker.relay.vms_tls import vms_tls
from onvif_asking import addresses_used, but_for_the_clock, refused, resolved, streams
from rtsp_ingest import PASSWORD

pytestmark = pytest.mark.quirk(14)


@pytest.fixture
def resolver() -> Iterator[OnvifResolver]:
    built = OnvifResolver(deadlines=Deadlines(connect_s=2, call_s=3))
    yield built
    built.close()


def camera(*faults: str) -> CameraSettings:
    return CameraSettings("gate", password=PASSWORD, resolution="240p", faults=faults)


@pytest.mark.parametrize("fault", ["https-only", "https-as-in-2008"])
async def test_https_behind_an_http_address_is_found_and_learnt(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop, fault: str
) -> None:
    gate = await simulator.add(camera(fault))
    with addresses_used() as seen:
        resolution = await resolved(gate, resolver)
    assert seen == {(gate.host, gate.onvif_port), (gate.host, gate.rtsp_port)}
    assert resolution.learned.scheme == "https"
    assert resolution.learned.certificate == fingerprint("gate", 1)
    await streams(gate, resolution, media_loop)


async def test_the_learnt_scheme_is_tried_first(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera("https-only"))
    learned = (await resolved(gate, resolver)).learned
    first = gate.counters.onvif_connects
    again = await resolved(gate, resolver, learned=learned)
    assert but_for_the_clock(again.learned) == but_for_the_clock(learned)
    # One handshake less: nobody had to find out that the port speaks TLS.
    assert gate.counters.onvif_connects - first == first - 1


async def test_a_camera_that_goes_back_to_http_is_asked_by_it(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    gate = await simulator.add(camera("https-only"))
    learned = (await resolved(gate, resolver)).learned
    await gate.break_with()
    resolution = await resolved(gate, resolver, learned=learned)
    assert (resolution.learned.scheme, resolution.learned.certificate) == ("", "")
    await streams(gate, resolution, media_loop)


async def test_another_certificate_than_the_first_is_reported_before_anything_is_sent_to_it(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera("https-only"))
    learned = (await resolved(gate, resolver)).learned
    await gate.break_with("https-another-certificate")
    asked, tried = gate.counters.onvif_requests.copy(), gate.counters.attempts.copy()
    error = await refused(gate, resolver, learned=learned)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.CERTIFICATE_CHANGED)
    assert fingerprint("gate", 2) in error.message
    assert (gate.counters.onvif_requests, gate.counters.attempts) == (asked, tried)


async def test_a_declared_certificate_confirms_the_exchange(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera("https-another-certificate"))
    learned = (await resolved(gate, resolver)).learned
    stale = learned.model_copy(update={"certificate": fingerprint("gate", 1)})
    declared = fingerprint("gate", 2).upper()
    resolution = await resolved(gate, resolver, learned=stale, declared_certificate=declared)
    assert resolution.learned.certificate == fingerprint("gate", 2)


async def test_a_declared_certificate_is_demanded_at_the_first_sight(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera("https-only"))
    error = await refused(gate, resolver, declared_certificate=fingerprint("gate", 2))
    assert error.reason is Reason.CERTIFICATE_CHANGED
    assert not gate.counters.onvif_requests


async def test_declared_https_is_never_asked_by_http(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera())
    error = await refused(gate, resolver, scheme=Scheme.HTTPS)
    assert (error.condition, error.reason) == (ConditionType.REACHABLE, Reason.TLS_FAILED)
    assert not gate.counters.onvif_requests
    assert not gate.counters.attempts


async def test_a_web_page_costs_a_handshake_and_no_login(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(dataclasses.replace(camera(), web="page"))
    error = await refused(gate, resolver)
    assert error.reason is Reason.NOT_ONVIF
    assert not gate.counters.attempts


@pytest.mark.quirk(55)
async def test_a_camera_without_secure_renegotiation_is_resolved_over_https(
    simulator: Simulator, resolver: OnvifResolver, media_loop: MediaLoop
) -> None:
    gate = await simulator.add(camera("https-before-rfc5746"))
    resolution = await resolved(gate, resolver)
    assert resolution.learned.certificate == fingerprint("gate", 1)
    await streams(gate, resolution, media_loop)


@pytest.mark.quirk(55)
async def test_without_secure_renegotiation_the_pinned_certificate_holds(
    simulator: Simulator, resolver: OnvifResolver
) -> None:
    gate = await simulator.add(camera("https-before-rfc5746"))
    error = await refused(gate, resolver, declared_certificate=fingerprint("gate", 2))
    assert error.reason is Reason.CERTIFICATE_CHANGED
    assert not gate.counters.onvif_requests


@pytest.mark.quirk(55)
async def test_a_monitoring_system_without_secure_renegotiation_gets_no_stream(
    simulator: Simulator,
) -> None:
    gate = await simulator.add(camera("https-before-rfc5746"))
    with pytest.raises(ssl.SSLError) as caught:
        await asyncio.open_connection(gate.host, gate.onvif_port, ssl=vms_tls())
    assert caught.value.reason == "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"


async def test_the_camera_of_2008_refuses_a_client_of_today(simulator: Simulator) -> None:
    """What the other tests talk to is old indeed."""
    gate = await simulator.add(camera("https-as-in-2008"))
    today = ssl.create_default_context()
    today.check_hostname, today.verify_mode = False, ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(gate.host, gate.onvif_port, ssl=today)
    await gate.break_with("https-only")
    _, writer = await asyncio.open_connection(gate.host, gate.onvif_port, ssl=today)
    writer.close()
