# SPDX-License-Identifier: Apache-2.0
"""Reads user names and passwords from the Secrets that the shard names.

The shard follower sets the needed Secrets, supervisors ask for an account, and the state cache
keeps a copy on an in-memory volume. A Secret of another type is never used: otherwise a person who
may write Cameras could have any Secret of the namespace sent to a host of their choice.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from camfleet_api.conditions import ConditionType, Reason
from camfleet_api.names import AUTHORITIES_KEY, CREDENTIALS_SECRET_TYPE
from camfleet_api.policy import CredentialsRef
from camfleet_worker.base.errors import IngestError, Retry
from camfleet_worker.login.credentials import Credentials

log = logging.getLogger(__name__)

Follow = Callable[[str], AsyncIterator[dict[str, Any] | None]]
Listener = Callable[[str], None]
"""Called with the name of a Secret that has changed."""


@dataclass(frozen=True, slots=True)
class SecretContent:
    """The content of one Secret; `values` is empty where the type is not ours."""

    type: str
    uid: str
    values: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, secret: dict[str, Any]) -> SecretContent:
        """Decode a Secret object; values that are not text are left out."""
        kind = str(secret.get("type", ""))
        uid = str(secret["metadata"]["uid"])
        if kind != CREDENTIALS_SECRET_TYPE:
            return cls(kind, uid)
        data = secret.get("data") or {}
        decoded = {key: _text(value) for key, value in data.items()}
        return cls(kind, uid, {key: text for key, text in decoded.items() if text is not None})


class Accounts:
    """The Secrets of a shard, followed by name."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._listeners: list[Listener] = []
        self._contents: dict[str, SecretContent | None] = {}
        self._read: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def on_change(self, listener: Listener) -> None:
        """Add a listener, called for every Secret that is restored, first read or changed;
        listeners are called in the order in which they were added."""
        self._listeners.append(listener)

    def restore(self, contents: dict[str, SecretContent]) -> None:
        """Start with the contents of the last process; the API server's answers replace them."""
        for name, content in contents.items():
            if name not in self._contents:
                self._contents[name] = content
                self._notify(name)

    def contents(self) -> dict[str, SecretContent]:
        """Every Secret that exists, for the state cache."""
        return {name: content for name, content in self._contents.items() if content is not None}

    def values(self) -> set[str]:
        """All values, for the log's redactor."""
        return {value for content in self.contents().values() for value in content.values.values()}

    def want(self, names: Iterable[str]) -> None:
        """Follow these Secrets and no others."""
        wanted = set(names)
        for name in self._tasks.keys() - wanted:
            self._tasks.pop(name).cancel()
            self._contents.pop(name, None)
            self._read.pop(name, None)
        for name in wanted - self._tasks.keys():
            self._read[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._run(name), name=f"secret {name}")

    async def close(self) -> None:
        """Stop following Secrets."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def known(self, name: str, within_s: float) -> bool:
        """Wait until the Secret was read from the API server or restored from a copy."""
        event = self._read.get(name)
        if event is None or self._contents.get(name) is not None:
            return True
        try:
            async with asyncio.timeout(within_s):
                await event.wait()
        except TimeoutError:
            return False
        return True

    def camera_login(self, ref: CredentialsRef) -> Credentials:
        """The account of a camera; IngestError: Credentials(Key)Missing, SecretWrongType."""
        return self._login(
            ref,
            ConditionType.AUTHENTICATED,
            Reason.CREDENTIALS_MISSING,
            Reason.CREDENTIALS_KEY_MISSING,
        )

    def relay_login(self, ref: CredentialsRef) -> Credentials:
        """The account for a monitoring system; IngestError: VmsCredentialsMissing, …WrongType."""
        missing = Reason.VMS_CREDENTIALS_MISSING
        return self._login(ref, ConditionType.RELAYING, missing, missing)

    def relay_authorities(self, ref: CredentialsRef) -> str:
        """The certificate authorities for a monitoring system, in PEM; where this is empty, only
        those of the operating system are trusted.

        IngestError as relay_login.
        """
        content = self._content(ref, ConditionType.RELAYING, Reason.VMS_CREDENTIALS_MISSING)
        return content.values.get(AUTHORITIES_KEY, "")

    def _login(
        self, ref: CredentialsRef, condition: ConditionType, missing: Reason, key_missing: Reason
    ) -> Credentials:
        content = self._content(ref, condition, missing)
        values = content.values
        for key in (ref.username_key, ref.password_key):
            if key not in values:
                fact = f"Secret {ref.secret_name} lacks the key {key}"
                raise _trouble(condition, key_missing, fact)
        username, password = values[ref.username_key], values[ref.password_key]
        return Credentials(username, password, _version(content.uid, username, password))

    def _content(
        self, ref: CredentialsRef, condition: ConditionType, missing: Reason
    ) -> SecretContent:
        content = self._contents.get(ref.secret_name)
        if content is None:
            raise _trouble(condition, missing, f"Secret {ref.secret_name} does not exist")
        if content.type != CREDENTIALS_SECRET_TYPE:
            raise _trouble(
                condition,
                Reason.SECRET_WRONG_TYPE,
                f"Secret {ref.secret_name} has another type and was not opened",
            )
        return content

    async def _run(self, name: str) -> None:
        """Follow one Secret. The last content of a deleted Secret stays in use while this worker
        runs, so that a mistake in Git stops no stream."""
        async for secret in self._follow(name):
            before = self._contents.get(name)
            if secret is None and before is not None:
                log.warning("secret vanished, its last content stays", extra={"secret": name})
                continue
            content = None if secret is None else SecretContent.of(secret)
            self._contents[name] = content
            self._read[name].set()
            if content != before:
                log.info("secret read", extra={"secret": name})
                self._notify(name)

    def _notify(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)


def _version(uid: str, username: str, password: str) -> str:
    """A version of these values that is the same in every worker and after every restart.

    The Secret's resourceVersion would change with every edit of other keys in it, and would differ
    between workers that read it at different times. The key of the hash is the Secret's uid, 122
    random bits that only a reader of the Secret knows: a reader of the Camera's status, which
    contains a hash of this version, cannot test guesses.
    """
    return hmac.digest(uid.encode(), f"{username}\0{password}".encode(), hashlib.sha256).hex()


def _trouble(condition: ConditionType, reason: Reason, fact: str) -> IngestError:
    return IngestError(condition, reason, fact, Retry.ON_SECRET_CHANGE)


def _text(value: object) -> str | None:
    """A value of a Secret's data, without a trailing line end, which editors add."""
    try:
        return base64.b64decode(str(value), validate=True).decode().rstrip("\r\n")
    except (binascii.Error, UnicodeDecodeError):
        return None
