# SPDX-License-Identifier: Apache-2.0
"""A small file is replaced whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from camfleet_worker.base.files import replace_file, sync_folder


def test_a_file_is_made_and_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "days"
    replace_file(path, b"a long old content")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_of_a_file_being_replaced_reads_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "days"
    replace_file(path, b"old")
    with path.open("rb") as reader:
        replace_file(path, b"another content")
        assert reader.read() == b"old"


def test_a_file_with_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    replace_file(path, b"", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_gone_is_the_callers_to_explain(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "gone" / "days", b"")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
