# SPDX-License-Identifier: Apache-2.0
"""What is written down once stays written down once: the next copy fails here, with its line."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "workers" / "camfleet_worker"
MODULES = sorted(WORKER.rglob("*.py"))


def _times_to_microseconds(node: ast.AST) -> bool:
    """`int(x * 1_000_000)`, whatever spells the million."""
    if not (
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("int", "round") and node.args
    ):
        return False
    product = node.args[0]
    if not (isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult)):
        return False
    millions = {"1000000", "1000000.0", "SECOND_US", "_SECOND_US", "1e6"}
    return bool({ast.unparse(product.left), ast.unparse(product.right)} & millions)


def _epochs(node: ast.AST) -> bool:
    """A datetime of 1970, and what adds microseconds to one."""
    text = ast.unparse(node) if isinstance(node, ast.Call) else ""
    return text.startswith(("datetime(1970", "datetime.datetime(1970", "timedelta(microseconds="))


def _replaced_files(node: ast.AST) -> bool:
    """`path.replace(other)`, `rename`, of os too: text is replaced with two arguments."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of_os = ast.unparse(node.func.value) == "os"
    renames = node.func.attr in ("replace", "rename") and (of_os or len(node.args) == 1)
    return renames and not node.keywords


def _synced_folders(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "O_DIRECTORY"


def _numbers_of_text(node: ast.AST) -> bool:
    """`text.isdigit()` and its kin, which precede an int() of somebody else's text."""
    digits = ("isdigit", "isdecimal", "isnumeric")
    return isinstance(node, ast.Attribute) and node.attr in digits


def _named_codecs(node: ast.AST) -> bool:
    """`Codec.H265`, `AudioCodec.AAC`: how a codec is accepted or refused by its name."""
    kinds = ("Codec", "AudioCodec")
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) in kinds


KNOW_A_SYNTAX = {
    "containers/configuration_record.py",
    "recordings/export.py",  # reads audio back from files, which is AAC
    "relay/rtsp/audio.py",
    "relay/rtsp/messages.py",
    "relay/rtsp/packets.py",
    "rtp/audio_description.py",
    "rtp/depacketiser.py",
    "rtp/parameter_sets.py",
    "rtp/slice_header.py",
    "rtsp/sdp.py",
    "rtsp/video.py",  # spells codecs for people
}
"""What tells codecs apart by how they are written, and not by where they may go."""


@pytest.mark.parametrize(
    ("found", "places"),
    [
        (_times_to_microseconds, {"base/moments.py"}),
        (_epochs, {"base/moments.py"}),
        # An export is written by av under another name and given its own when it is whole.
        (_replaced_files, {"base/files.py", "recordings/export.py"}),
        (_synced_folders, {"base/files.py"}),
        (_numbers_of_text, {"base/whole_number.py"}),
        (_named_codecs, {"media_types/codec_outputs.py", *KNOW_A_SYNTAX}),
    ],
)
def test_one_module_knows(found: Callable[[ast.AST], bool], places: set[str]) -> None:
    others = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]
        for module in MODULES
        if (name := str(module.relative_to(WORKER))) not in places
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if found(node)
    ]
    assert others == []
