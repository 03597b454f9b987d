# SPDX-License-Identifier: Apache-2.0
"""What the image of the simulator is built from: its code and clips that are encoded already."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

CLIPS_IN_IMAGE = ("360p-h264", "360p-h265", "240p-h264")
"""What the demo's cameras play; others would only make the image larger."""


def prepare_image_context(dest: Path, progress: Callable[[str], None] = lambda _: None) -> None:
    """Fill `dest`, the build context of image/Containerfile; encodes what the cache lacks."""
    from camera_simulator.footage import RECIPES, prepare

    here = Path(__file__).resolve().parent
    left_out = shutil.ignore_patterns("__pycache__", "image", "footage.py", "*.md")
    shutil.copytree(here, dest / here.name, ignore=left_out, dirs_exist_ok=True)
    for name in CLIPS_IN_IMAGE:
        shutil.copytree(prepare(RECIPES[name], progress), dest / "clips" / name, dirs_exist_ok=True)
