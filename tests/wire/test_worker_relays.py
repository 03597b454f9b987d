# SPDX-License-Identifier: Apache-2.0
"""What a whole worker relays where: two systems at once, RTMP, and over TLS with the Secret's
authorities."""

from __future__ import annotations

from itertools import pairwise

from camera_simulator import CameraSettings, Simulator
from camfleet_api.ingest_shard import Policy, Relay
from camfleet_api.monitoring_system import RelayProtocol
from camfleet_api.policy import CredentialsRef, VideoCodec
from eventually import eventually_async
from vms import RecordServer, RtmpServer
from vms.authority import Authority
from worker_parts import PASSWORD, CameraObjects, SecretObjects, WorkerParts, entry, policy_to

READY = ("True", "Ready")


def policy_of(*relays: Relay) -> Policy:
    return policy_to(None).model_copy(update={"relays": list(relays)})


def relay_to(
    name: str, url: str, *codecs: VideoCodec, credentials: CredentialsRef | None = None
) -> Relay:
    return Relay(
        name=name,
        protocol=RelayProtocol(url.partition(":")[0]),
        url_template=url,
        codecs=list(codecs or (VideoCodec.H264,)),
        credentials=credentials,
    )


async def test_a_dead_system_is_named_and_the_other_one_notices_nothing(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    with RecordServer() as national, RecordServer() as local:
        policy = policy_of(
            relay_to("national", national.url("live/{camera}")),
            relay_to("local", local.url("live/{camera}")),
        )
        await worker.run(policy, entry(objects, camera))
        await eventually_async(lambda: objects.ready("gate") == READY, within_s=30)
        local.stop()
        await eventually_async(
            lambda: objects.condition("gate", "Relaying") == ("False", "VmsUnreachable"),
            within_s=40,
        )
        assert f":{local.rtsp_port} " in relaying_message(objects)
        assert f":{national.rtsp_port} " not in relaying_message(objects)

        before = national.streams()["/live/gate"].frames
        await eventually_async(lambda: national.streams()["/live/gate"].frames > before + 50)
        frames = national.frames("/live/gate")
        assert {frame.publisher for frame in frames} == {1}
        assert all(a.pts_s < b.pts_s for a, b in pairwise(frames))
        assert national.streams()["/live/gate"].pts_gaps == 0
        assert camera.counters.sessions == 1

        local.start()
        await eventually_async(lambda: objects.ready("gate") == READY, within_s=60)


def relaying_message(objects: CameraObjects) -> str:
    conditions = objects.objects["gate"]["status"]["conditions"]
    return str(next(row["message"] for row in conditions if row["type"] == "Relaying"))


async def test_h265_goes_over_rtmp_only_where_the_system_lists_it(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects
) -> None:
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD, codec="h265"))
    with RtmpServer() as vms:
        url = vms.url("{camera}")
        await worker.run(policy_of(relay_to("old", url)), entry(objects, camera))
        unsupported = ("False", "VmsCodecUnsupported")
        await eventually_async(
            lambda: objects.condition("gate", "Relaying") == unsupported, within_s=30
        )
        assert f"127.0.0.1:{vms.rtmp_port} does not list" in relaying_message(objects)
        await eventually_async(
            lambda: objects.condition("gate", "Recording") == ("True", "Recording"), within_s=30
        )
        assert vms.streams() == {}

        both = relay_to("old", url, VideoCodec.H264, VideoCodec.H265)
        await worker.run(policy_of(both), entry(objects, camera))
        await eventually_async(lambda: objects.ready("gate") == READY, within_s=40)
        assert vms.streams()["gate"].publishing


async def test_the_authorities_of_a_system_can_come_later_in_its_secret(
    worker: WorkerParts, simulator: Simulator, objects: CameraObjects, secrets: SecretObjects
) -> None:
    authority = Authority()
    camera = await simulator.add(CameraSettings("gate", password=PASSWORD))
    secrets.put("vms", username="push", password="s3cret")
    with RecordServer(username="push", password="s3cret", certificate=authority.issue()) as vms:
        secret = CredentialsRef(secret_name="vms")
        relay = relay_to("national", vms.url("live/{camera}"), credentials=secret)
        await worker.run(policy_of(relay), entry(objects, camera))
        await eventually_async(
            lambda: objects.condition("gate", "Relaying") == ("False", "VmsCertificateInvalid"),
            within_s=40,
        )
        assert "ca.crt" in relaying_message(objects)
        trusted = {"username": "push", "password": "s3cret", "ca.crt": authority.pem}
        secrets.put("vms", **trusted)
        await eventually_async(lambda: objects.ready("gate") == READY, within_s=40)
        assert camera.counters.sessions == 1
