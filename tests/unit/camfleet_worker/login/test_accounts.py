# SPDX-License-Identifier: Apache-2.0
"""Accounts out of Secrets: what is opened, what is not, and whose change wakes whom."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.device_address import DeviceAddress
from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from camfleet_api.policy import CredentialsRef
from camfleet_worker.base.errors import IngestError
from camfleet_worker.login.accounts import Accounts, SecretContent

CAMERA_1 = CredentialsRef(secret_name="site", username_key="user", password_key="one")
CAMERA_2 = CredentialsRef(secret_name="site", username_key="user", password_key="two")


class Following:
    """Secrets as a watch would show them."""

    def __init__(self) -> None:
        self.changes: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.rung: list[str] = []
        self.accounts = Accounts(self.follow)
        self.accounts.on_change(self.rung.append)
        self.uid = "5f0c0c0e"

    async def follow(self, name: str) -> AsyncIterator[dict[str, Any] | None]:
        while True:
            yield await self.changes.get()

    async def show(self, kind: str = CREDENTIALS_SECRET_TYPE, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        metadata = {"uid": self.uid}
        await self._show({"type": kind, "metadata": metadata, "data": data})

    async def vanish(self) -> None:
        await self._show(None)

    async def _show(self, secret: dict[str, Any] | None) -> None:
        self.accounts.want({"site"})
        self.changes.put_nowait(secret)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
async def secret() -> AsyncIterator[Following]:
    following = Following()
    yield following
    await following.accounts.close()


async def test_a_colleagues_edit_does_not_make_an_account_unproven(secret: Following) -> None:
    await secret.show(user="admin", one="1111", two="2222")
    first = secret.accounts.camera_login(CAMERA_1)
    await secret.show(user="admin", one="1111", two="3333")
    assert secret.accounts.camera_login(CAMERA_1) == first


async def test_another_password_is_another_version(secret: Following) -> None:
    await secret.show(user="admin", one="1111", two="2222")
    first = secret.accounts.camera_login(CAMERA_2)
    await secret.show(user="admin", one="1111", two="3333")
    assert secret.accounts.camera_login(CAMERA_2).version != first.version


async def test_a_restored_secret_calls_listeners_like_one_that_is_read() -> None:
    following = Following()
    content = SecretContent(CREDENTIALS_SECRET_TYPE, "uid", {"password": "p"})
    following.accounts.restore({"site": content})
    assert following.rung == ["site"], "the log masks its values from here on"


async def test_two_workers_mean_the_same_account_whenever_they_began_to_read(
    secret: Following,
) -> None:
    await secret.show(user="admin", one="1111", two="2222")
    ours = secret.accounts.camera_login(CAMERA_1)
    later = Following()
    await later.show(user="admin", one="1111", two="another key was edited meanwhile")
    theirs = later.accounts.camera_login(CAMERA_1)
    await later.accounts.close()
    device = DeviceAddress("192.0.2.1", 80)
    assert theirs.account_key(device) == ours.account_key(device)


async def test_without_the_secret_guesses_cannot_be_tested(secret: Following) -> None:
    await secret.show(user="admin", one="1111")
    first = secret.accounts.camera_login(CAMERA_1)
    secret.uid = "another Secret with the same values"
    await secret.show(user="admin", one="1111")
    assert secret.accounts.camera_login(CAMERA_1).version != first.version


async def test_a_secret_of_another_type_is_never_opened(secret: Following) -> None:
    await secret.show(kind="Opaque", user="admin", one="1111")
    with pytest.raises(IngestError) as caught:
        secret.accounts.camera_login(CAMERA_1)
    assert caught.value.reason is Reason.SECRET_WRONG_TYPE
    assert secret.accounts.values() == set()


async def test_a_missing_secret_or_key_is_named(secret: Following) -> None:
    await secret.vanish()
    with pytest.raises(IngestError, match="Secret site does not exist"):
        secret.accounts.camera_login(CAMERA_1)
    await secret.show(user="admin")
    with pytest.raises(IngestError, match="lacks the key one") as caught:
        secret.accounts.camera_login(CAMERA_1)
    assert caught.value.reason is Reason.CREDENTIALS_KEY_MISSING


async def test_a_relay_names_the_missing_secret(secret: Following) -> None:
    await secret.vanish()
    with pytest.raises(IngestError) as caught:
        secret.accounts.relay_login(CAMERA_1)
    assert caught.value.condition is ConditionType.RELAYING
    assert caught.value.reason is Reason.VMS_CREDENTIALS_MISSING


async def test_a_relays_secret_may_hold_authorities_to_trust(secret: Following) -> None:
    await secret.show(user="push", one="1111")
    assert secret.accounts.relay_authorities(CAMERA_1) == ""
    await secret.show(user="push", one="1111", **{"ca.crt": "-----BEGIN CERTIFICATE-----"})
    assert secret.accounts.relay_authorities(CAMERA_1) == "-----BEGIN CERTIFICATE-----"


async def test_a_secret_that_vanishes_stays_in_use(secret: Following) -> None:
    await secret.show(user="admin", one="1111")
    await secret.vanish()
    assert secret.accounts.camera_login(CAMERA_1).password == "1111"
    assert secret.rung == ["site"]


async def test_the_line_end_of_an_editor_is_not_part_of_a_password(secret: Following) -> None:
    await secret.show(user="admin\n", one=" 11 11 \r\n")
    login = secret.accounts.camera_login(CAMERA_1)
    assert (login.username, login.password) == ("admin", " 11 11 ")


async def test_the_same_content_again_calls_no_listener(secret: Following) -> None:
    await secret.vanish()
    await secret.show(user="admin", one="1111")
    assert secret.rung == ["site"]
    assert await secret.accounts.known("site", within_s=1)
