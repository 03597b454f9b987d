# SPDX-License-Identifier: Apache-2.0
"""What a restarted container finds, and who may read it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from camfleet_api.ingest_shard import IngestShardSpec
from camfleet_api.names import CREDENTIALS_SECRET_TYPE
from camfleet_worker.camera.state_cache import StateCache
from camfleet_worker.login.accounts import SecretContent
from camfleet_worker.reporter.conditions import runtime_status
from camfleet_worker.reporter.facts import CameraSnapshot

SECRET = SecretContent(CREDENTIALS_SECRET_TYPE, "7", {"password": "p@ss/w0rd"})
STATUS = runtime_status(CameraSnapshot(3, streaming=True), datetime(2026, 1, 1, tzinfo=UTC))


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "state")
    cache.keep_shard(IngestShardSpec(hash="h1"))
    cache.keep_secrets({"cameras": SECRET})
    cache.keep_status("uid-1", STATUS)

    again = StateCache(tmp_path / "state")
    assert again.shard() == IngestShardSpec(hash="h1")
    assert again.secrets() == {"cameras": SECRET}
    assert again.status("uid-1") == STATUS


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "state")
    cache.keep_secrets({"cameras": SECRET})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*.json")}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"hash": 5}', b"\xff\xfe"])
def test_a_damaged_file_is_the_same_as_none(tmp_path: Path, content: bytes) -> None:
    for name in ("shard.json", "secrets.json"):
        (tmp_path / name).write_bytes(content)
    assert StateCache(tmp_path).shard() is None
    assert StateCache(tmp_path).secrets() == {}


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    StateCache(tmp_path / "file" / "state").keep_shard(IngestShardSpec(hash="h1"))


def test_statuses_of_cameras_that_left_are_forgotten(tmp_path: Path) -> None:
    cache = StateCache(tmp_path)
    for uid in ("stays", "left", "left-too"):
        cache.keep_status(uid, STATUS)
    cache.retain_statuses(["stays", "not-written-yet"])
    assert [path.name for path in (tmp_path / "statuses").iterdir()] == ["stays.json"]
    assert cache.status("left") is None


def test_where_no_status_was_kept_there_is_none_to_forget(tmp_path: Path) -> None:
    StateCache(tmp_path / "state").retain_statuses([])


def test_a_secret_shows_no_value(tmp_path: Path) -> None:
    assert "p@ss" not in repr(SECRET)
