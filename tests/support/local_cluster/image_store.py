# SPDX-License-Identifier: Apache-2.0
"""The folder of built images in the cache: one OCI image layout in which images share the layers
they have in common.

Written by `image_build.py`, read when an instance loads an image. It knows the layout (OCI image-
spec, image-layout.md) and nothing of how images are made.
"""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local_cluster.errors import ClusterError
from local_cluster.places import cache

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class Image:
    """One built image: its tag, the digest of its manifest, and the digests of all blobs it
    consists of.
    """

    tag: str
    digest: str
    blobs: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(blob_path(digest).stat().st_size for digest in self.blobs)


def layout() -> Path:
    return cache() / "images"


def blob_path(digest: str) -> Path:
    return layout() / "blobs" / "sha256" / digest.removeprefix("sha256:")


def image(tag: str) -> Image:
    """The image of that tag."""
    for entry in _index()["manifests"]:
        if entry["annotations"][NAME] == tag:
            manifest = json.loads(blob_path(entry["digest"]).read_text())
            blobs = [
                entry["digest"],
                manifest["config"]["digest"],
                *(layer["digest"] for layer in manifest["layers"]),
            ]
            return Image(tag, entry["digest"], tuple(blobs))
    raise ClusterError(
        f"No image {tag} was built here. Build it with `build-image --tag {tag} ...`."
    )


def is_complete(tag: str) -> bool:
    """Whether the tag is known and none of its blobs is missing."""
    try:
        return all(blob_path(digest).exists() for digest in image(tag).blobs)
    except (ClusterError, FileNotFoundError):
        return False


def add_single_file_image(tag: str, file: Path, target: str, entrypoint: list[str]) -> Image:
    """Make an image of one static program. Ten lines of JSON need no image builder."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        info = tarfile.TarInfo(target.lstrip("/"))
        info.size, info.mode = file.stat().st_size, 0o755
        with file.open("rb") as content:
            tar.addfile(info, content)
    layer_digest = _add_blob(layer.getvalue())
    config = _add_blob(
        _json(
            {
                "architecture": _architecture(),
                "os": "linux",
                "config": {"Entrypoint": entrypoint, "User": "65535:65535"},
                "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
            }
        )
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config,
                "size": blob_path(config).stat().st_size,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": layer_digest,
                    "size": len(layer.getvalue()),
                }
            ],
        }
    )
    return _tag(tag, manifest)


def adopt(pushed: Path, tag: str) -> Image:
    """Take in an image that lies in a folder as manifest.json and blobs named by their digests;
    layers we have stay as they are.
    """
    manifest = (pushed / "manifest.json").read_bytes()
    content = json.loads(manifest)
    for digest in (content["config"]["digest"], *(layer["digest"] for layer in content["layers"])):
        if not blob_path(digest).exists():
            blob_path(digest).parent.mkdir(parents=True, exist_ok=True)
            os.replace(pushed / digest.removeprefix("sha256:"), blob_path(digest))
    return _tag(tag, manifest)


def _tag(tag: str, manifest: bytes) -> Image:
    """Give the tag to this manifest, and forget the blobs that no tag leads to any more."""
    entry = {
        "mediaType": MANIFEST,
        "digest": _add_blob(manifest),
        "size": len(manifest),
        "annotations": {NAME: tag},
    }
    index = _index()
    index["manifests"] = [
        *(other for other in index["manifests"] if other["annotations"][NAME] != tag),
        entry,
    ]
    _write(layout() / "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    _write(layout() / "index.json", _json(index))
    kept = {
        digest for other in index["manifests"] for digest in image(other["annotations"][NAME]).blobs
    }
    for path in (layout() / "blobs" / "sha256").iterdir():
        if f"sha256:{path.name}" not in kept:
            path.unlink()
    return image(tag)


def stream(wanted: Image, present: set[str], into: IO[bytes]) -> None:
    """Write the image as a tar archive, leaving out the blobs that the receiver has."""
    with tarfile.open(fileobj=into, mode="w|") as tar:
        for name, content in _envelope(wanted):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for digest in wanted.blobs:
            if digest not in present:
                tar.add(blob_path(digest), arcname=f"blobs/sha256/{blob_path(digest).name}")


def _envelope(wanted: Image) -> Iterator[tuple[str, bytes]]:
    yield "oci-layout", _json({"imageLayoutVersion": "1.0.0"})
    # containerd takes the full name from this annotation of its own; the standard one may hold a
    # bare tag.
    names = {NAME: wanted.tag, "io.containerd.image.name": wanted.tag}
    size = blob_path(wanted.digest).stat().st_size
    entry = {"mediaType": MANIFEST, "digest": wanted.digest, "size": size, "annotations": names}
    yield "index.json", _json({"schemaVersion": 2, "manifests": [entry]})


def _index() -> dict[str, Any]:
    path = layout() / "index.json"
    return (
        dict(json.loads(path.read_text()))
        if path.exists()
        else {"schemaVersion": 2, "manifests": []}
    )


def _add_blob(content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _write(blob_path(digest), content)
    return digest


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a build may be killed, and another process may be loading from here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


def _architecture() -> str:
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True).encode()
