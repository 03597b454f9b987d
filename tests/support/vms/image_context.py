# SPDX-License-Identifier: Apache-2.0
"""What the image of the VMS is built from: its code, and hls.js from npm, pinned and kept in the
cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

HLS_JS = "1.7.4"


def prepare_image_context(dest: Path, progress: Callable[[str], None] = lambda _: None) -> None:
    """Fill `dest`, the build context of image/Containerfile; fetches hls.js once a machine."""
    here = Path(__file__).resolve().parent
    left_out = shutil.ignore_patterns("__pycache__", "image", "*.md")
    shutil.copytree(here, dest / here.name, ignore=left_out, dirs_exist_ok=True)
    shutil.copytree(hls_js(progress), dest / "vendor", dirs_exist_ok=True)


def hls_js(progress: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with hls.min.js and its licence."""
    kept = _cache() / f"hls.js-{HLS_JS}"
    if (kept / "hls.min.js").exists():
        return kept
    progress(f"vms: fetching hls.js {HLS_JS} from npm")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as work:
        command = ["npm", "pack", "--silent", f"hls.js@{HLS_JS}"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"npm pack hls.js@{HLS_JS} failed: {done.stderr.strip()}")
        (package,) = Path(work).glob("*.tgz")
        _unpack(package, Path(work) / "kept")
        (Path(work) / "kept").rename(kept)
    return kept


def _unpack(package: Path, folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(package) as archive:
        for member in ("dist/hls.min.js", "LICENSE"):
            source = archive.extractfile(f"package/{member}")
            assert source is not None, f"hls.js {HLS_JS} has no {member}"
            (folder / Path(member).name).write_bytes(source.read())


def _cache() -> Path:
    return Path(os.environ.get("CAMFLEET_CACHE") or Path.home() / ".cache" / "camfleet") / "npm"
