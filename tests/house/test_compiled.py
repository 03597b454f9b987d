# SPDX-License-Identifier: Apache-2.0
"""Whoever opens a compiled module reads that it is one, and what that forbids."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "workers" / "camfleet_worker"
SENTENCE = "Compiled by mypyc (workers/compile_media.py): "


def _compiled() -> set[str]:
    spec = importlib.util.spec_from_file_location(
        "compile_media", ROOT / "workers" / "compile_media.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.COMPILED)


def test_the_compiled_modules_and_no_others_say_that_they_are_compiled() -> None:
    saying = {
        str(module.relative_to(WORKER))
        for module in WORKER.rglob("*.py")
        if SENTENCE in (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "")
    }
    assert saying == _compiled()
