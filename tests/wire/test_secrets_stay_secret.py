# SPDX-License-Identifier: Apache-2.0
"""Odd passwords work end to end, and whatever goes wrong at a camera, no form of a password stands
in a status, a metric or a log record, before any redaction."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from camera_simulator import CameraSettings, Simulator
from camfleet_worker.media.loop import MediaLoop
from camfleet_worker.metrics.collector import WorkerCollector
from eventually import eventually_async
from worker_parts import CameraObjects, SecretObjects, WorkerParts, entry, policy_to

USERNAME = "ingest"
ODD = {
    "at-hash-percent": "p@ss#w%41rd^",
    "url": "a/b:c?d&e=f;g",
    "quotes": 'it\'s "q\\u0027" `b`',
    "blank": " lead and trail ",
    "xml": "<a>&amp;]]></a>",
    "vietnamese": "mật-khẩu-Ấn-1",
    "braces": "{password}{0}%s%(x)d",
}


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


def forms(secret: str) -> set[str]:
    """What a leak could look like."""
    pair = f"{USERNAME}:{secret}".encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        base64.b64encode(pair).decode(),
        base64.b64encode(secret.encode()).decode(),
    }


def said(objects: CameraObjects, worker: WorkerParts, log: pytest.LogCaptureFixture) -> str:
    """Everything that leaves the worker but the conversation with the camera."""
    registry = CollectorRegistry()
    pictures = worker.pictures.counters
    registry.register(
        WorkerCollector(
            "phu-yen",
            worker.fleet,
            MediaLoop(),
            pictures,
            lambda: 0,
            worker.journals.counters,
            dict,
            {},
        )
    )
    records = "\n".join(f"{record.getMessage()} {vars(record)}" for record in log.records)
    status = "\n".join(f"{status!r} {json.dumps(status)}" for _, status in objects.writes)
    line = Path(f"/proc/{os.getpid()}/cmdline").read_text()
    return "\n".join((records, status, generate_latest(registry).decode(), line))


@pytest.mark.quirk(11)
@pytest.mark.parametrize("password", ODD.values(), ids=ODD)
async def test_an_odd_password_opens_onvif_and_rtsp_and_is_seen_nowhere(
    password: str, tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username=USERNAME, password=password)
    by_digest = await simulator.add(
        CameraSettings("digest", password=password, onvif_schemes=("digest",))
    )
    by_token = await simulator.add(
        CameraSettings("token", password=password, onvif_schemes=("wsse",), rtsp_schemes=("basic",))
    )
    async with WorkerParts(tmp_path, objects, secrets) as worker:
        await worker.run(
            policy_to(None, False), *(entry(objects, c) for c in (by_digest, by_token))
        )
        ready = ("True", "Ready")
        await eventually_async(
            lambda: objects.ready("digest") == objects.ready("token") == ready, within_s=30
        )
        everything = said(objects, worker, caplog)
    assert by_digest.counters.refused() == by_token.counters.refused() == 0
    assert [form for form in forms(password) if form in everything] == []


@pytest.mark.quirk(11)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("password-changed", "CredentialsRejected"),
        ("web-page-not-onvif", "NotOnvif"),
        ("udp-only", "TransportRefused"),
        ("one-session", "Ready"),
        ("frozen", "NoFrames"),
    ],
)
async def test_failures_are_reported_without_the_password(
    fault: str,
    reason: str,
    tmp_path: Path,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    password = ODD["url"]
    objects, secrets = CameraObjects(), SecretObjects()
    secrets.put("cameras", username=USERNAME, password=password)
    camera = await simulator.add(CameraSettings("gate", password=password))
    await camera.break_with(fault)
    async with WorkerParts(tmp_path, objects, secrets) as worker:
        await worker.run(policy_to(None, False), entry(objects, camera))
        await eventually_async(lambda: objects.ready("gate")[1] == reason, within_s=40)
        everything = said(objects, worker, caplog)
    assert [form for form in forms(password) if form in everything] == []
