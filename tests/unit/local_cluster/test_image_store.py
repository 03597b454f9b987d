# SPDX-License-Identifier: Apache-2.0
"""The store of built images."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from local_cluster import image_store
from local_cluster.errors import ClusterError
from local_cluster.image_store import Image, blob_path


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMFLEET_CACHE", str(tmp_path / "cache"))


def make(tag: str, tmp_path: Path, content: bytes = b"program") -> Image:
    program = tmp_path / "program"
    program.write_bytes(content)
    return image_store.add_single_file_image(tag, program, "/program", ["/program"])


def members(archive: io.BytesIO) -> set[str]:
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        return set(tar.getnames())


def test_an_image_of_one_program_is_found_by_its_tag(tmp_path: Path) -> None:
    made = make("localhost/a:1", tmp_path)
    assert image_store.image("localhost/a:1") == made
    assert image_store.is_complete("localhost/a:1")
    layer = made.blobs[-1]
    with tarfile.open(blob_path(layer)) as tar:
        assert tar.getmember("program").mode == 0o755


def test_an_unknown_tag_is_an_error_with_the_command_to_build_it() -> None:
    with pytest.raises(ClusterError, match="build-image --tag localhost/none:1"):
        image_store.image("localhost/none:1")
    assert not image_store.is_complete("localhost/none:1")


def test_a_lost_blob_makes_an_image_incomplete(tmp_path: Path) -> None:
    blob_path(make("localhost/a:1", tmp_path).blobs[-1]).unlink()
    assert not image_store.is_complete("localhost/a:1")


def test_blobs_without_a_tag_are_removed(tmp_path: Path) -> None:
    old = make("localhost/a:1", tmp_path, b"old")
    other = make("localhost/b:1", tmp_path, b"old")
    new = make("localhost/a:1", tmp_path, b"new")
    assert old.digest != new.digest
    assert all(blob_path(digest).exists() for digest in {*new.blobs, *other.blobs})
    make("localhost/b:1", tmp_path, b"newer")
    assert not any(blob_path(digest).exists() for digest in old.blobs)


def test_a_stream_leaves_out_what_the_receiver_has(tmp_path: Path) -> None:
    made = make("localhost/a:1", tmp_path)
    whole, rest = io.BytesIO(), io.BytesIO()
    image_store.stream(made, set(), whole)
    image_store.stream(made, {made.blobs[-1]}, rest)
    names = {f"blobs/sha256/{digest.removeprefix('sha256:')}" for digest in made.blobs}
    assert members(whole) == {"oci-layout", "index.json", *names}
    left_out = members(whole) - members(rest)
    assert left_out == {f"blobs/sha256/{made.blobs[-1].removeprefix('sha256:')}"}


def test_adopting_takes_pushed_blobs_in(tmp_path: Path) -> None:
    made = make("localhost/a:1", tmp_path)
    pushed = tmp_path / "pushed"
    pushed.mkdir()
    (pushed / "manifest.json").write_bytes(blob_path(made.digest).read_bytes())
    for digest in made.blobs[1:]:
        name = digest.removeprefix("sha256:")
        (pushed / name).write_bytes(blob_path(digest).read_bytes())
        blob_path(digest).unlink()
    adopted = image_store.adopt(pushed, "localhost/a:2")
    assert adopted.digest == made.digest
    assert image_store.is_complete("localhost/a:2")
    index = json.loads((image_store.layout() / "index.json").read_text())
    assert len(index["manifests"]) == 2
