# SPDX-License-Identifier: Apache-2.0
"""A generator writes its file, and `--check` fails where the file holds something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from camfleet_base.generated_file import main

PAGE = "# Settings\n"


def test_check_fails_until_the_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "SETTINGS.md"
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    with pytest.raises(SystemExit, match="make generate"):
        main(file, PAGE)
    monkeypatch.setattr("sys.argv", ["reference"])
    main(file, PAGE)
    monkeypatch.setattr("sys.argv", ["reference", "--check"])
    main(file, PAGE)


def test_a_flag_that_is_misspelt_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "SETTINGS.md"
    monkeypatch.setattr("sys.argv", ["reference", "--chekc"])
    with pytest.raises(SystemExit):
        main(file, PAGE)
    assert not file.exists()
