# SPDX-License-Identifier: Apache-2.0
"""The worker as its pod runs it: `python -m camfleet_worker` against a real API server, with the
rights that the operator grants and no others, and simulated cameras."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import yaml

from camera_simulator import CameraSettings, SimulatorThread
from camera_simulator.thread import CameraHandle
from camfleet_api.names import RUNTIME_MANAGER
from camfleet_worker.record.declarations import declare_retention, declare_site
from eventually import consistently, eventually
from worker_process import PASSWORD, SHARD, Facility


def test_a_camera_becomes_ready_with_the_rights_of_its_role_alone(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()

    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    eventually(lambda: facility.observed_hash() == "h1", within_s=10)
    spec = facility.get("lease", SHARD)["spec"]
    assert spec["holderIdentity"] == "pod-1"
    status = facility.get("camera", "gate")["status"]
    assert status["device"]["manufacturer"] == "Camfleet"
    assert status["attempts"]["proven"]
    recorded = (facility.folder / "recordings").rglob("*.mp4")
    assert any(file.stat().st_size > 0 for file in recorded)
    labels = f'camera="gate",namespace="{facility.namespace}",site="hospital"'
    eventually(lambda: f"camfleet_ingest_camera_up{{{labels}}} 1.0" in worker.metrics())
    assert PASSWORD not in (facility.folder / "worker.log").read_text()
    assert not [line for line in worker.log_lines() if line["level"] == "error"]


def test_nothing_is_written_while_nothing_changes(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    version = facility.version("gate")
    consistently(lambda: facility.version("gate") == version, during_s=12, every_s=1)
    worker.restart()
    eventually(lambda: camera.counters.sessions >= 2, within_s=20)
    consistently(lambda: facility.version("gate") == version, during_s=12, every_s=1)
    fields = facility.get("camera", "gate", "--show-managed-fields")["metadata"]["managedFields"]
    assert [f["operation"] for f in fields if f["manager"] == RUNTIME_MANAGER] == ["Apply"]


def test_a_wrong_password_costs_two_attempts_however_often_the_worker_restarts(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password="wrong-one")
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    rejected = ("False", "CredentialsRejected")
    eventually(lambda: facility.ready("gate") == rejected, within_s=40)
    spent = camera.counters.refused()
    assert 1 <= spent <= 2
    assert facility.get("camera", "gate")["status"]["attempts"]["count"] == spent
    assert facility.condition("gate", "Reachable")["status"] == "True"

    requests = sum(camera.counters.onvif_requests.values())
    worker.restart()
    eventually(lambda: sum(camera.counters.onvif_requests.values()) > requests, within_s=20)
    worker.kill_child()
    requests = sum(camera.counters.onvif_requests.values())
    eventually(lambda: sum(camera.counters.onvif_requests.values()) > requests, within_s=20)
    consistently(lambda: facility.ready("gate") == rejected, during_s=3, every_s=0.5)
    assert camera.counters.refused() <= 2

    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)
    assert camera.counters.refused() <= 2


def test_sigterm_tears_the_session_down_and_ends_the_process_in_time(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    assert worker.terminate() == 0  # within ten seconds, or wait() raises
    assert camera.counters.teardowns == 1
    assert camera.counters.sessions_open == 0
    assert list((facility.folder / "recordings").rglob("*.mp4_end"))
    assert facility.ready("gate") == ("True", "Ready")


def test_in_the_journal_a_kill_is_ours_and_a_stop_is_planned(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()

    def tells(stage: str, causes: list[str]) -> bool:
        return bool(worker.gap_causes("gate", stage) == causes)

    def told(*causes: str) -> None:
        for stage in ("arriving", "onDisk"):
            eventually(partial(tells, stage, [*causes]))

    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    told("us", "span")

    worker.kill_child()
    eventually(lambda: camera.counters.sessions == 2, within_s=30)
    told("us", "span", "us", "span")

    worker.restart()
    eventually(lambda: camera.counters.sessions == 3, within_s=30)
    told("us", "span", "us", "span", "planned", "us", "span")
    assert "camfleet_worker_bugs_total 0.0" in worker.metrics()


def test_a_removed_camera_stops_and_the_others_do_not_notice(
    facility: Facility, camera: CameraHandle, simulator: SimulatorThread, start: Any
) -> None:
    other = simulator.add(CameraSettings(f"yard-{facility.namespace}", password=PASSWORD))
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.declare("yard", other)
    facility.assign("h1")
    start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    eventually(lambda: facility.ready("yard") == ("True", "Ready"), within_s=40)

    del facility.cameras["gate"]
    facility.assign("h2")
    eventually(lambda: facility.observed_hash() == "h2", within_s=20)
    assert camera.counters.sessions_open == 0
    assert camera.counters.teardowns == 1
    assert other.counters.sessions == 1
    assert other.counters.sessions_open == 1
    simulator.remove(f"yard-{facility.namespace}")


def recordings_of_old(facility: Facility, *ages_days: int) -> None:
    """Recordings of a camera that nobody declares any more, so many days old."""
    folder = facility.folder / "recordings" / facility.namespace / "yard.0a1b2c3d"
    declare_site(folder, "hospital")
    declare_retention(folder, 30)
    for age in ages_days:
        day = f"{datetime.now(UTC) - timedelta(days=age):%Y-%m-%d}"
        segment = folder / day / "12" / "00-00Z.1.mp4"
        segment.parent.mkdir(parents=True)
        segment.write_bytes(bytes(1000))


def test_recordings_deleted_early_are_reported_beside_the_acknowledgement(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.policy["recording"] = {"enabled": False}
    facility.declare("gate", camera)
    facility.assign("h1")
    recordings_of_old(facility, 9, 8, 7)
    worker = start(CAMFLEET_RECORDINGS_MAX_BYTES="1000")

    def told() -> tuple[str, list[tuple[str, str, int]]]:
        status = facility.get("ingestshard", SHARD).get("status", {})
        entries = status.get("deletedEarly", ())
        lost = [(one["site"], one["until"], one["retentionDays"]) for one in entries]
        return status.get("observedHash", ""), lost

    youngest = f"{datetime.now(UTC) - timedelta(days=8):%Y-%m-%d}T12:00:00Z"
    lost = [("hospital", youngest, 30)]
    eventually(lambda: told() == ("h1", lost), within_s=60)
    facility.assign("h2")
    eventually(lambda: told() == ("h2", lost), within_s=20)
    worker.restart()
    facility.assign("h3")
    eventually(lambda: told()[0] == "h3", within_s=40)
    assert told() == ("h3", lost), "the next process has deleted nothing, and keeps the report"


def test_streams_go_on_when_the_shard_is_deleted(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)

    facility.kubectl("delete", "ingestshard", SHARD)
    frames = camera.counters.frames_sent
    eventually(lambda: camera.counters.frames_sent > frames + 50, within_s=20)
    assert camera.counters.sessions == 1


def test_a_restarted_worker_streams_without_an_api_server(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password=PASSWORD)
    facility.declare("gate", camera)
    facility.assign("h1")
    worker = start()
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=40)
    worker.terminate()

    config = yaml.safe_load((facility.folder / "kubeconfig").read_text())
    for cluster in config["clusters"]:
        cluster["cluster"]["server"] = "https://127.0.0.1:9"  # discard: nobody listens
    nowhere = facility.folder / "kubeconfig-nowhere"
    nowhere.write_text(yaml.safe_dump(config))
    refused = camera.counters.refused()
    start(KUBECONFIG=str(nowhere))

    eventually(lambda: camera.counters.sessions_open == 1, within_s=40)
    frames = camera.counters.frames_sent
    eventually(lambda: camera.counters.frames_sent > frames + 20, within_s=20)
    assert camera.counters.refused() == refused


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        pytest.param({}, "CredentialsMissing", id="no such Secret"),
        pytest.param({"username": "ingest"}, "CredentialsKeyMissing", id="no password in it"),
        pytest.param(
            {"kind": "Opaque", "username": "ingest", "password": PASSWORD},
            "SecretWrongType",
            id="another type",
        ),
    ],
)
def test_a_secret_that_gives_no_login_is_named_and_its_repair_followed(
    facility: Facility, camera: CameraHandle, start: Any, secret: dict[str, str], reason: str
) -> None:
    if secret:
        facility.secret("cameras", **secret)
    facility.declare("gate", camera)
    facility.assign("h1")
    start()

    eventually(lambda: facility.ready("gate") == ("False", reason), within_s=40)
    assert facility.condition("gate", "Reachable")["status"] == "True"
    assert not camera.counters.attempts

    facility.kubectl("delete", "secret", "cameras", "--ignore-not-found")
    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)


@pytest.mark.quirk(9)
def test_two_workers_with_one_account_spend_two_attempts_together(
    facility: Facility, camera: CameraHandle, start: Any
) -> None:
    facility.secret("cameras", username="ingest", password="wrong-one")
    facility.declare("gate", camera)
    facility.declare("yard", camera, loginAfter="gate")
    facility.assign("h1", "shard-1", ("yard",))
    start("shard-1")
    waiting = ("Unknown", "Pending")
    eventually(lambda: facility.ready("yard") == waiting, within_s=40)
    assert (
        "Camera gate uses the same account and tries it first"
        in (facility.condition("yard", "Authenticated")["message"])
    )
    assert facility.condition("yard", "Reachable")["status"] == "True"
    assert camera.counters.refused() == 0

    facility.assign("h1", SHARD, ("gate",))
    # Another key of the same Secret is edited meanwhile: the two workers read different versions.
    facility.secret("cameras", username="ingest", password="wrong-one", other="another camera's")
    start()
    rejected = ("False", "CredentialsRejected")
    eventually(lambda: facility.ready("gate") == rejected, within_s=40)
    eventually(lambda: facility.ready("yard") == rejected, within_s=60)
    assert 1 <= camera.counters.refused() <= 2

    facility.secret("cameras", username="ingest", password=PASSWORD)
    eventually(lambda: facility.ready("gate") == ("True", "Ready"), within_s=30)
    eventually(lambda: facility.ready("yard") == ("True", "Ready"), within_s=60)
    assert camera.counters.refused() <= 2
    assert camera.counters.sessions_open == 2
