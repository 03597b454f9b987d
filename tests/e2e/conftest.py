# SPDX-License-Identifier: Apache-2.0
"""One real cluster for the whole tier: operator by Helm, the VMS, cameras, the sample province.

It is the demo's own code on an instance of another name, so what the demo shows is what is tested.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import yaml

from demo import steps
from demo.kubernetes import LocalTarget, Target
from demo.progress import Progress
from eventually import eventually
from facility import Facility, Province, enrolment, site_document

VERDICT_WITHIN_S = 90


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A node with operator, VMS and cameras, taken away at the end."""
    target = LocalTarget("e2e")
    try:
        images = steps.provide_images(target)
        steps.install_operator(target, images["camfleet"])
        steps.start_devices(target, images, Progress(0))
        yield target
    finally:
        target.remove()


@pytest.fixture(scope="session")
def province(target: Target) -> Province:
    """phu-yen applied, every camera with its verdict."""
    steps.apply_province(target)
    province = Province(target)
    eventually(lambda: not province.not_as_expected(), within_s=VERDICT_WITHIN_S)
    return province


@pytest.fixture
def facility(province: Province) -> Iterator[Facility]:
    """An enrolled namespace with one Site and the credentials of the good cameras."""
    target = province.target
    facility = Facility(target, f"annex-{uuid.uuid4().hex[:6]}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": facility.namespace, "labels": labels},
    }
    try:
        target.run("apply", "-f", "-", stdin=yaml.safe_dump(namespace))
        facility.apply(*enrolment(target), site_document())
        yield facility
    finally:
        facility.delete()
