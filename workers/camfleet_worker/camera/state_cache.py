# SPDX-License-Identifier: Apache-2.0
"""Keeps what a restarted container needs to go on without an API server.

The cache is on an in-memory emptyDir of the pod: the last shard, the Secrets that it names and the
statuses last written. Only their owner can read the files, which are replaced as a whole. The API
server's answers, as soon as they come, replace all of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from camfleet_api.camera import CameraStatus
from camfleet_api.ingest_shard import IngestShardSpec
from camfleet_worker.base.files import replace_file
from camfleet_worker.login.accounts import SecretContent

log = logging.getLogger(__name__)

SHARD = "shard.json"
SECRETS = "secrets.json"
STATUSES = "statuses"


class StateCache:
    """A folder of JSON files. A damaged file counts as missing; a folder that cannot be written has
    no other effect than an empty cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def shard(self) -> IngestShardSpec | None:
        """The shard that the last process ran."""
        wire = self._read(SHARD)
        try:
            return None if wire is None else IngestShardSpec.read(wire)
        except ValidationError:
            return None

    def keep_shard(self, spec: IngestShardSpec) -> None:
        """Keep a shard that was taken over."""
        self._write(SHARD, spec.to_wire())

    def secrets(self) -> dict[str, SecretContent]:
        """The Secrets that the last process held."""
        wire = self._read(SECRETS) or {}
        try:
            return {name: SecretContent(**content) for name, content in wire.items()}
        except TypeError:
            return {}

    def keep_secrets(self, contents: Mapping[str, SecretContent]) -> None:
        """Keep the Secrets, after one was read."""
        wire = {
            name: {"type": content.type, "uid": content.uid, "values": content.values}
            for name, content in contents.items()
        }
        self._write(SECRETS, wire)

    def status(self, uid: str) -> CameraStatus | None:
        """The status last written of one camera."""
        wire = self._read(f"{STATUSES}/{uid}.json")
        try:
            return None if wire is None else CameraStatus.read(wire)
        except ValidationError:
            return None

    def keep_status(self, uid: str, status: CameraStatus) -> None:
        """Keep a status that was written; writes are rare."""
        self._write(f"{STATUSES}/{uid}.json", status.to_wire())

    def retain_statuses(self, uids: Iterable[str]) -> None:
        """Remove the statuses of all other cameras, which this worker no longer has."""
        retained = {f"{uid}.json" for uid in uids}
        try:
            leaving = [p for p in (self._folder / STATUSES).glob("*") if p.name not in retained]
            for path in leaving:
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("old statuses stay", extra={"cause": type(error).__name__})

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            wire = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return None
        return wire if isinstance(wire, dict) else None

    def _write(self, name: str, wire: object) -> None:
        """Replace one file; a reader finds the old one or the new one whole."""
        path = self._folder / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(path, json.dumps(wire).encode(), mode=0o600)
        except OSError as error:
            log.warning("state not kept", extra={"file": name, "cause": type(error).__name__})
