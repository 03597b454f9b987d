# SPDX-License-Identifier: Apache-2.0
"""The second listener of a worker that is a pod, asked by a pod with projected tokens.

Which pods reach the port is a NetworkPolicy's matter, which no network plugin enforces here.
"""

from __future__ import annotations

from typing import Any

import pytest

from demo import figures
from demo.kubernetes import get_json
from eventually import eventually
from facility import Facility, camera_document
from web_page import AUDIENCES, Answer, WebPage

pytestmark = pytest.mark.timeout(600)
"""Set-up builds images and starts a cluster; each wait within a test has its own limit."""

PICTURE = Answer(200, "image/jpeg", "ffd8ff")
SNAPSHOT = "/snapshot/gate"


def _worker(facility: Facility) -> dict[str, Any]:
    """The one worker pod, once it has an address."""

    def found() -> list[dict[str, Any]]:
        pods = get_json(facility.target, "pods", "-n", facility.namespace, "-l", figures.WORKERS)
        return [pod for pod in pods["items"] if pod["status"].get("podIP")]

    (pod,) = eventually(found, within_s=60)
    return pod


def test_a_web_page_sees_a_picture_with_its_token_for_that_audience_alone(
    watched: Facility, page: WebPage
) -> None:
    watched.apply(camera_document("gate", 1))
    pod = _worker(watched)
    page.start(pod["spec"]["containers"][0]["image"])
    place = pod["status"]["podIP"]
    listener = f"{place}:9092"
    right, wrong = (page.own_token(audience) for audience in AUDIENCES)

    eventually(lambda: page.ask(listener, SNAPSHOT, right) == PICTURE, within_s=90, every_s=0.5)
    refused = (None, wrong, page.token_of_another_account())
    answers = [page.ask(listener, SNAPSHOT, token or "").status for token in refused]
    assert answers == [401, 401, 403]
    assert page.ask(listener, "/metrics", right).status == 404
    assert page.ask(f"{place}:9091", SNAPSHOT, right).status == 0, "that one is on loopback"
    assert page.ask(f"{place}:9090", "/readyz").status == 200, "probes and metrics stay open"
