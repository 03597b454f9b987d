# SPDX-License-Identifier: Apache-2.0
"""The words of the glossary in crds/README.md, and no second word for the same thing.

Looks at names and docstrings of the product's code; comments and texts are the reader's own eye.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(
    file
    for folder in ("crds", "operator", "workers")
    for file in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in file.parts
)

INSTEAD = {
    "announcement": "RTSP publisher",
    "bell": "listener or event",
    "bells": "listeners or events",
    "camera channel": "camera feed",
    "evident sink": "tracked sink",
    "evidence": "delivery log",
    "field report": "quirk",
    "field reports": "quirks",
    "heard": "answer",
    "looking glass": "picture analyser",
    "nobody tells": "a sentence that says who reports it",
    "obey": "drain commands",
    "sound": "audio",
    "sounds": "audio",
    "surroundings": "each dependency by its own name",
    "voice": "audio, or the field manager",
    "voices": "audio, or the field managers",
}
"""What is refused, and the word that stands in its place."""


def _plain(name: str) -> str:
    """A name in either style as words in lower case: `LookingGlass` is "looking glass"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return apart.replace("_", " ").lower()


def _said(module: Path) -> Iterator[str]:
    """Names that a module defines, its own name, and its docstrings."""
    yield _plain(module.stem)
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield _plain(node.name)
        elif isinstance(node, ast.arg):
            yield _plain(node.arg)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield _plain(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield " ".join(str(node.value.value).lower().split())  # docstrings, of attributes too


def _found() -> dict[str, Counter[str]]:
    """Uses by refused word, then by file."""
    found: dict[str, Counter[str]] = {word: Counter() for word in INSTEAD}
    for module in PRODUCT:
        said = list(_said(module))
        for word, files in found.items():
            uses = sum(len(re.findall(rf"\b{word}\b", text)) for text in said)
            if uses:
                files[module.relative_to(ROOT).as_posix()] += uses
    return found


@pytest.fixture(scope="module")
def found() -> dict[str, Counter[str]]:
    return _found()


@pytest.mark.parametrize("word", INSTEAD)
def test_one_thing_has_one_word(word: str, found: dict[str, Counter[str]]) -> None:
    files = found[word]
    assert not files, f"say {INSTEAD[word]}: {dict(files)}"


def test_the_glossary_is_in_the_order_of_its_letters_and_gives_each_word_once() -> None:
    text = (ROOT / "crds" / "README.md").read_text("utf-8")
    part = text.partition("## Glossary")[2].partition("\n## ")[0]
    terms = re.findall(r"^\| \*\*(.+?)\*\*", part, re.MULTILINE)
    assert len(terms) >= 30
    assert terms == sorted(set(terms), key=str.lower)
