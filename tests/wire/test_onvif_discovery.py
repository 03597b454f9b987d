# SPDX-License-Identifier: Apache-2.0
"""Probes to one declared host: a hint where its service stands, whatever answers and whether or
not anything does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest

from camera_simulator import Camera, CameraSettings, Simulator
from camfleet_api.conditions import ConditionType, Reason
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.onvif import OnvifResolver
from camfleet_worker.onvif.discovery import ProbeMatch, probe
from onvif_asking import addresses_used, refused, resolved, streams
from rtsp_ingest import PASSWORD, Ingest

HIDDEN = "/cgi-bin/soap/7"
"""A path that nobody guesses."""


async def hidden_camera(simulator: Simulator, *faults: str, **settings: Any) -> Camera:
    """A camera whose device service only a probe finds."""
    fields: dict[str, Any] = {"device_path": HIDDEN, "discovery": True}
    return await simulator.add(
        CameraSettings("gate", password=PASSWORD, faults=faults, **(fields | settings))
    )


@contextmanager
def resolver_for(camera: Camera) -> Iterator[OnvifResolver]:
    built = OnvifResolver(discovery_port=camera.discovery_port)
    yield built
    built.close()


@pytest.mark.quirk(15)
async def test_a_service_path_that_only_a_probe_names_is_found_and_learnt(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await hidden_camera(simulator, "device-named-by-probe")
    with resolver_for(camera) as resolver:
        resolution = await resolved(camera, resolver)
        assert resolution.learned.device_path == HIDDEN
        probed = camera.counters.probes
        await resolved(camera, resolver, learned=resolution.learned)
    assert 1 <= probed <= 6
    assert camera.counters.probes == probed  # what is learnt is not asked for again
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(23)
async def test_a_probe_gives_the_endpoint_reference_that_onvif_does_not(
    simulator: Simulator,
) -> None:
    camera = await hidden_camera(simulator, "device-named-by-probe", "hardware-not-told")
    with resolver_for(camera) as resolver:
        resolution = await resolved(camera, resolver)
    assert resolution.device.endpoint_reference == camera.settings.endpoint


@pytest.mark.quirk(19)
@pytest.mark.parametrize(
    "fault",
    ["probe-one-line-only", "probe-typed-only", "probe-untyped-only", "probe-device-type-only"],
)
async def test_a_device_that_reads_probes_strictly_is_found(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await hidden_camera(simulator, fault)
    with resolver_for(camera) as resolver:
        resolution = await resolved(camera, resolver)
    assert resolution.learned.device_path == HIDDEN
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(20)
@pytest.mark.parametrize(
    "fault",
    ["match-cut-off", "match-prefixes-undeclared", "match-doubled", "match-several-addresses"],
)
async def test_an_odd_answer_still_names_the_path(
    simulator: Simulator, media_loop: MediaLoop, fault: str
) -> None:
    camera = await hidden_camera(simulator, fault)
    with resolver_for(camera) as resolver, addresses_used() as used:
        resolution = await resolved(camera, resolver)
    assert resolution.learned.device_path == HIDDEN
    assert {host for host, _ in used} == {"127.0.0.1"}
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(20)
@pytest.mark.parametrize(
    "fault", ["match-is-garbage", "match-with-entities", "storage-answers-probe"]
)
async def test_a_useless_answer_leaves_the_reason_as_it_is(
    simulator: Simulator, fault: str
) -> None:
    camera = await hidden_camera(simulator, fault)
    with resolver_for(camera) as resolver:
        error = await refused(camera, resolver)
    assert (error.condition, error.reason) == (ConditionType.ELIGIBLE, Reason.NOT_ONVIF)
    assert not camera.counters.attempts


@pytest.mark.quirk(20)
async def test_a_device_that_answers_uselessly_and_stands_where_it_should_streams(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await hidden_camera(simulator, "match-is-garbage", device_path="/onvif/device_service")
    with resolver_for(camera) as resolver:
        await streams(camera, await resolved(camera, resolver), media_loop)
    assert camera.counters.probes == 0


@pytest.mark.quirk(21)
async def test_a_probe_goes_to_the_declared_host_and_nowhere_else(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await hidden_camera(simulator, "multicast-unheard")
    with resolver_for(camera) as resolver, addresses_used() as used:
        resolution = await resolved(camera, resolver)
    assert ("127.0.0.1", camera.discovery_port) in used
    assert {host for host, _ in used} == {"127.0.0.1"}
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(21)
async def test_a_group_address_is_never_probed() -> None:
    with addresses_used() as used:
        assert await probe("239.255.255.250", within_s=0.2) == ()
    assert used == set()


@pytest.mark.quirk(22)
async def test_three_of_ten_answers_lost_still_find_the_device(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await hidden_camera(simulator, "probe-answers-lost-30")
    with resolver_for(camera) as resolver:
        for _ in range(5):
            resolution = await resolved(camera, resolver)
            assert resolution.learned.device_path == HIDDEN
    await streams(camera, resolution, media_loop)


@pytest.mark.quirk(22)
async def test_a_running_stream_does_not_notice_that_every_answer_is_lost(
    simulator: Simulator, media_loop: MediaLoop
) -> None:
    camera = await hidden_camera(simulator)
    with resolver_for(camera) as resolver:
        learned = (await resolved(camera, resolver)).learned
        ingest = Ingest(camera, media_loop, path=learned.stream_path)
        await ingest.play()
        await camera.break_with("probe-answers-lost")
        again = await resolved(camera, resolver, learned=learned)
        assert again.learned.stream_path == learned.stream_path
        error = await refused(camera, resolver)  # nothing learnt, and no hint
        assert error.reason is Reason.NOT_ONVIF
        await ingest.received(25)
        await ingest.stop()
    assert camera.counters.sessions == 1
    assert camera.counters.probes_answered < camera.counters.probes


# The client alone


class _Liar(asyncio.DatagramProtocol):
    """Answers whatever it hears with what it was given, and from another port too."""

    def __init__(self, *answers: bytes) -> None:
        self.heard = 0
        self._answers = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.heard += 1
        for answer in self._answers:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def peer(*answers: bytes) -> AsyncIterator[tuple[_Liar, int]]:
    loop = asyncio.get_running_loop()
    transport, liar = await loop.create_datagram_endpoint(
        lambda: _Liar(*answers), local_addr=("127.0.0.1", 0)
    )
    try:
        yield liar, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


def match_naming(address: str) -> bytes:
    return (
        "<Envelope><Body><ProbeMatches><ProbeMatch><Types>dn:NetworkVideoTransmitter</Types>"
        f"<XAddrs>{address}</XAddrs></ProbeMatch></ProbeMatches></Body></Envelope>"
    ).encode()


@pytest.mark.quirk(20)
async def test_an_address_that_an_answer_names_is_never_contacted() -> None:
    async with (
        peer() as (elsewhere, other),
        peer(match_naming(f"http://127.0.0.1:{other}/x")) as (
            _,
            port,
        ),
    ):
        assert await probe("127.0.0.1", port) == (ProbeMatch("", ("/x",), True),)
        assert elsewhere.heard == 0


async def test_a_flood_of_answers_is_bounded_in_time_and_number() -> None:
    async with peer(*[b"<x/>"] * 200) as (_, port):
        async with asyncio.timeout(5):
            assert await probe("127.0.0.1", port, within_s=0.5) == ()


async def test_a_host_without_a_listener_or_without_an_address_gives_nothing() -> None:
    async with peer() as (_, port):
        pass
    assert await probe("127.0.0.1", port) == ()
    assert await probe("no.such.host.invalid", within_s=2.0) == ()
