# SPDX-License-Identifier: Apache-2.0
"""One real cluster for the whole tier: operator by Helm, the VMS, cameras, the sample province.

It is the demo's own code on an instance of another name, so what the demo shows is what is tested.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from demo import steps
from demo.kubernetes import LocalTarget, Target
from demo.progress import Progress
from eventually import eventually
from facility import Facility, Province, enrolment, site_document
from web_page import WebPage

VERDICT_WITHIN_S = 90
WATCHED, PAGE = "annex-watched", "camfleet-page"
VIEWER = {
    "enabled": True,
    "namespaces": [WATCHED],
    "serviceAccount": {"namespace": PAGE, "name": "page"},
    "podLabels": {"app": "page"},
}
"""A web page that may see one namespace: there from the start, each change of it is a rollout."""


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A node with operator, VMS and cameras, taken away at the end."""
    target = LocalTarget("e2e")
    try:
        images = steps.provide_images(target)
        namespaces = [steps.restricted_namespace(name) for name in (WATCHED, PAGE)]
        target.run("apply", "-f", "-", stdin=yaml.safe_dump_all(namespaces))
        viewer = f"snapshotViewer={json.dumps(VIEWER)}"
        steps.install_operator(target, images["camfleet"], "--set-json", viewer)
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


@contextmanager
def _enrolled(target: Target, namespace: str) -> Iterator[Facility]:
    facility = Facility(target, namespace)
    try:
        restricted = steps.restricted_namespace(namespace)
        target.run("apply", "-f", "-", stdin=yaml.safe_dump(restricted))
        facility.apply(*enrolment(target), site_document())
        yield facility
    finally:
        facility.delete()


@pytest.fixture
def facility(province: Province) -> Iterator[Facility]:
    """An enrolled namespace with one Site and the credentials of the good cameras."""
    with _enrolled(province.target, f"annex-{uuid.uuid4().hex[:6]}") as facility:
        yield facility


@pytest.fixture(scope="module")
def watched(province: Province) -> Iterator[Facility]:
    """Such a namespace, whose pictures a web page may see."""
    with _enrolled(province.target, WATCHED) as facility:
        yield facility


@pytest.fixture(scope="module")
def page(watched: Facility) -> WebPage:
    """The web page that is declared for it."""
    return WebPage(watched.target, PAGE)
