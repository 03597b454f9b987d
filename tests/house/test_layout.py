# SPDX-License-Identifier: Apache-2.0
"""Where things are: the top level, names of modules, links and names in texts."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    "Makefile",
    "README.md",
    "charts",
    "crds",
    "operator",
    "pyproject.toml",
    "tests",
    "uv.lock",
    "workers",
}
IMPORT_ROOTS = ("crds", "operator", "workers", "tests/support")
SAYS_NOTHING = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}


def _files(pattern: str) -> Iterator[Path]:
    """Files of the project, without what is hidden or made by tools."""
    for top in sorted(TOP):
        path = ROOT / top
        found = sorted(path.rglob(pattern)) if path.is_dir() else [path]
        for file in found:
            inner = file.relative_to(ROOT).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inner)
            if file.match(pattern) and file.is_file() and not hidden:
                yield file


TEXTS = [file.relative_to(ROOT).as_posix() for file in _files("*.md")]
DESIGNS = [text for text in TEXTS if text.endswith("DESIGN.md")]


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert found == TOP


def test_the_operator_folder_is_no_package() -> None:
    """With an `__init__.py` it would shadow the standard library's `operator`."""
    assert list((ROOT / "operator").glob("*.py")) == []


@pytest.mark.parametrize("root", IMPORT_ROOTS)
def test_nothing_importable_bears_a_name_of_the_standard_library(root: str) -> None:
    names = {path.stem for path in (ROOT / root).iterdir()}
    assert not names & sys.stdlib_module_names


def test_a_module_is_named_for_what_it_holds() -> None:
    modules = [file for file in _files("*.py") if set(file.stem.split("_")) & SAYS_NOTHING]
    assert modules == []


def test_tests_are_no_packages() -> None:
    """pytest's importlib mode; a folder `operator` with `__init__.py` breaks it."""
    support = ROOT / "tests" / "support"
    packages = [
        file for file in _files("__init__.py") if (ROOT / "tests") in file.parents
    ]  # fmt: skip
    assert [file for file in packages if support not in file.parents] == []


@pytest.mark.parametrize("text", TEXTS)
def test_links_within_the_project_lead_somewhere(text: str) -> None:
    file = ROOT / text
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text("utf-8"))
    inner = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in inner if not (file.parent / link).exists()] == []


@pytest.fixture(scope="module")
def test_names() -> set[str]:
    """Names of test files and functions."""
    names = set()
    for file in _files("test_*.py"):
        names.add(file.stem)
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names.add(node.name)
    return names


@pytest.mark.parametrize("text", DESIGNS)
def test_a_test_that_a_design_names_exists(text: str, test_names: set[str]) -> None:
    named = set(re.findall(r"\btest_[a-z0-9_]+", (ROOT / text).read_text("utf-8")))
    assert [name for name in named if not any(one.startswith(name) for one in test_names)] == []


def test_make_lists_every_target_that_is_meant_to_be_typed() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE):
        assert re.search(rf"^{target}:.*## \S", text, re.MULTILINE), target


def test_ci_runs_what_a_newcomer_types() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert lines[-1] == "exec make test"


UNIT_TESTS = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))


@pytest.mark.parametrize("test", UNIT_TESTS, ids=lambda test: test.stem)
def test_a_unit_test_lies_where_its_source_lies(test: Path) -> None:
    """The folder bears the package's name, and the test imports something of that folder."""
    folders = test.relative_to(ROOT / "tests" / "unit").parent.parts
    dotted = ".".join(folders) or test.stem.removeprefix("test_")
    places = [ROOT / root / Path(*dotted.split(".")) for root in (*IMPORT_ROOTS, "tests")]
    assert any(place.is_dir() or place.with_suffix(".py").is_file() for place in places), dotted
    assert re.search(rf"\b{re.escape(dotted)}\b", test.read_text("utf-8")), f"tests no {dotted}"
