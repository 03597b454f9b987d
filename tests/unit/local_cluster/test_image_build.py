# SPDX-License-Identifier: Apache-2.0
"""What counts as an input of an image."""

from pathlib import Path

import pytest

from local_cluster.errors import ClusterError
from local_cluster.image_build import _copied, _hash, _stage

CONTAINERFILE = """\
ARG BASE
FROM ${BASE} AS build
COPY --chown=1:1 code \\
     data/*.txt /srv/
COPY --from=build /x /y
ADD one.tar /
RUN echo COPY nothing /
"""


@pytest.fixture
def containerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Containerfile"
    path.write_text(CONTAINERFILE)
    return path


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "code" / "__pycache__").mkdir(parents=True)
    (folder / "code" / "__pycache__" / "a.pyc").write_text("compiled")
    (folder / "code" / "a.py").write_text("a = 1\n")
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("a")
    (folder / "one.tar").write_text("tar")
    (folder / "unrelated").write_text("x")
    return folder


def inputs(containerfile: Path, context: Path, staged: Path) -> str:
    _stage(containerfile, context, staged)
    return _hash(containerfile, staged)


def test_sources_are_those_of_copy_and_add_from_the_context(containerfile: Path) -> None:
    assert list(_copied(containerfile)) == ["code", "data/*.txt", "one.tar"]


def test_only_what_is_copied_travels_and_no_bytecode(
    containerfile: Path, context: Path, tmp_path: Path
) -> None:
    _stage(containerfile, context, tmp_path / "staged")
    files = [path for path in (tmp_path / "staged").rglob("*") if path.is_file()]
    names = sorted(str(path.relative_to(tmp_path / "staged")) for path in files)
    assert names == ["code/a.py", "data/a.txt", "one.tar"]


def test_equal_inputs_have_equal_hashes_whatever_their_age(
    containerfile: Path, context: Path, tmp_path: Path
) -> None:
    before = inputs(containerfile, context, tmp_path / "first")
    (context / "code" / "a.py").touch()
    (context / "unrelated").write_text("changed")
    assert inputs(containerfile, context, tmp_path / "second") == before


@pytest.mark.parametrize("change", ["content", "mode", "new file", "Containerfile"])
def test_each_change_of_an_input_changes_the_hash(
    change: str, containerfile: Path, context: Path, tmp_path: Path
) -> None:
    before = inputs(containerfile, context, tmp_path / "first")
    if change == "content":
        (context / "code" / "a.py").write_text("a = 2\n")
    elif change == "mode":
        (context / "code" / "a.py").chmod(0o755)
    elif change == "new file":
        (context / "code" / "b.py").touch()
    else:
        containerfile.write_text(CONTAINERFILE + "USER 1\n")
    assert inputs(containerfile, context, tmp_path / "second") != before


def test_a_source_that_is_not_there_is_named(containerfile: Path, context: Path) -> None:
    (context / "one.tar").unlink()
    with pytest.raises(ClusterError, match=r"one\.tar"):
        _stage(containerfile, context, context / "staged")
