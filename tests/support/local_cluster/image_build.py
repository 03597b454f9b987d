# SPDX-License-Identifier: Apache-2.0
"""Builds images from Containerfiles with buildah, into the cache, and only when an input changed.

Called by tests, the demo and the command line. It leaves everything about this machine out of the
result: certificates and client settings are lent to the build as read-only mounts, never as ENV or
COPY.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_cluster import image_store
from local_cluster.errors import ClusterError
from local_cluster.image_store import Image
from local_cluster.places import cache, locked
from local_cluster.progress import say, step

BASE_TAG = "localhost/camfleet-base:bookworm"
# usr-is-merged: the other way to satisfy the same dependency brings all of Perl.
BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates", "usr-is-merged")
# What nobody reads in a container; a third of a minimal Debian.
UNREAD = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
)
# Never an input of an image, whatever folder is copied.
NEVER_COPIED = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".venv", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache"
)


def build_image(containerfile: Path, context: Path, tag: str) -> Image:
    """Build `tag`, or return the one built before from equal inputs: the Containerfile, the files
    it copies, and the base.
    """
    with (
        locked(cache() / "images.lock"),
        tempfile.TemporaryDirectory(prefix="camfleet-context-") as folder,
    ):
        staged = Path(folder)
        _stage(containerfile, context, staged)
        inputs = _hash(containerfile, staged)
        record = cache() / "image-inputs" / f"{hashlib.sha256(tag.encode()).hexdigest()[:16]}.json"
        if (
            record.exists()
            and json.loads(record.read_text()) == {"tag": tag, "inputs": inputs}
            and image_store.is_complete(tag)
        ):
            return image_store.image(tag)
        _require_base()
        with step(f"building image {tag}"):
            _buildah_build(containerfile, staged, tag, BASE_TAG)
            _store(tag)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"tag": tag, "inputs": inputs}))
        return image_store.image(tag)


def _stage(containerfile: Path, context: Path, into: Path) -> None:
    """Copy what the Containerfile copies, and nothing else: the builder need not look at the rest
    of the checkout.
    """
    for source in _copied(containerfile):
        found = sorted(context.glob(source.rstrip("/"))) if source not in (".", "./") else [context]
        if not found:
            raise ClusterError(f"{containerfile} copies {source}, which is not in {context}.")
        for path in found:
            target = into / path.relative_to(context)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(
                    path, target, ignore=NEVER_COPIED, dirs_exist_ok=True, symlinks=True
                )
            else:
                shutil.copy2(path, target)


def _copied(containerfile: Path) -> Iterator[str]:
    """The sources of COPY and ADD that come from the context."""
    for instruction in re.sub(r"\\\n", " ", containerfile.read_text()).splitlines():
        words = (
            shlex.split(instruction, comments=True)
            if re.match(r"(?i)\s*(copy|add)\s", instruction)
            else []
        )
        flags = [word for word in words[1:] if word.startswith("--")]
        if words and not any(flag.startswith("--from=") for flag in flags):
            yield from [word for word in words[1:] if not word.startswith("--")][:-1]


def _hash(containerfile: Path, staged: Path) -> str:
    """By content and mode, not by time: a fresh checkout of the same commit has equal inputs."""
    digest = hashlib.sha256(containerfile.read_bytes() + _base_key().encode())
    for path in sorted(
        path for path in staged.rglob("*") if path.is_symlink() or not path.is_dir()
    ):
        executable = bool(path.lstat().st_mode & 0o100)
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        digest.update(
            f"{path.relative_to(staged)} {executable} {len(content)}\n".encode() + content
        )
    return digest.hexdigest()


def _base_key() -> str:
    return hashlib.sha256(repr((BASE_TAG, BASE_PACKAGES, UNREAD)).encode()).hexdigest()[:16]


def _require_base() -> None:
    """Make the base image once: Debian with Python, by mmdebstrap from the Debian archive."""
    archive = cache() / "base" / f"{_base_key()}.tar"
    if not archive.exists():
        with step("base image (Debian with Python)"):
            archive.parent.mkdir(parents=True, exist_ok=True)
            unfinished = archive.with_suffix(".unfinished")
            exclusions = [f"--dpkgopt=path-exclude={path}" for path in UNREAD]
            include = f"--include={','.join(BASE_PACKAGES)}"
            _run(
                [
                    "mmdebstrap",
                    "--format=tar",
                    "--variant=apt",
                    include,
                    *exclusions,
                    "bookworm",
                    str(unfinished),
                ]
            )
            unfinished.rename(archive)
    known = subprocess.run(
        [*_buildah("images"), "--format", "{{.Name}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if f"{BASE_TAG}-{_base_key()}" in known.stdout.split():
        return
    with step("base image: import"), tempfile.TemporaryDirectory(prefix="camfleet-base-") as folder:
        file = Path(folder) / "Containerfile"
        file.write_text(f"FROM scratch\nADD {archive.name} /\n")
        _run(
            [
                *_buildah("bud"),
                "--tag",
                BASE_TAG,
                "--tag",
                f"{BASE_TAG}-{_base_key()}",
                "--file",
                str(file),
                str(archive.parent),
            ]
        )


def _buildah_build(containerfile: Path, context: Path, tag: str, base: str) -> None:
    with tempfile.TemporaryDirectory(prefix="camfleet-lent-") as lent:
        command = [
            *_buildah("bud"),
            "--layers",
            "--network",
            "host",
            "--tag",
            tag,
            "--build-arg",
            f"BASE={base}",
            "--file",
            str(containerfile),
            *_lent_settings(Path(lent)),
            str(context),
        ]
        # Chroot isolation needs neither cgroups nor a network of its own.
        _run(command, env={**os.environ, "BUILDAH_ISOLATION": "chroot"})


def _lent_settings(folder: Path) -> list[str]:
    """What this machine needs to reach package archives, for the time of the build: trusted
    certificates, proxies, indices.

    buildah hands on the proxy variables by itself, and keeps them out of the image as well.
    """
    uv = Path("/etc/uv/uv.toml")
    # uv brings certificates of its own and would not trust an authority that only this machine
    # knows.
    (folder / "uv.toml").write_text(uv.read_text() if uv.exists() else "system-certs = true\n")
    proxies = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    (folder / "apt.conf").write_text(
        "\n".join(line for line in proxies if "proxy" in line.lower()) + "\n"
    )
    lent = {
        Path("/etc/ssl/certs"): "/etc/ssl/certs",
        Path("/etc/pip.conf"): "/etc/pip.conf",
        folder / "uv.toml": "/etc/uv/uv.toml",
        folder / "apt.conf": "/etc/apt/apt.conf.d/99-lent",
    }
    return [
        word
        for source, target in lent.items()
        if source.exists()
        for word in ("--volume", f"{source}:{target}:ro")
    ]


def _store(tag: str) -> None:
    # Uncompressed: these blobs never travel, and unpacking them on a node is faster by half.
    # buildah compresses into an OCI layout whatever it is told; into a plain folder it does not.
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pushed-", dir=cache()) as folder:
        _run([*_buildah("push"), "--disable-compression", "--format", "oci", tag, f"dir:{folder}"])
        image_store.adopt(Path(folder), tag)


def _buildah(command: str) -> list[str]:
    storage = cache() / "buildah"
    return ["buildah", "--root", str(storage), "--runroot", str(storage / "run"), command]


def _run(command: Sequence[str], env: dict[str, str] | None = None) -> None:
    result = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        for line in result.stdout.splitlines()[-25:]:
            say(line)
        raise ClusterError(f"`{' '.join(command[:6])} ...` failed; its last words are above.")
