# SPDX-License-Identifier: Apache-2.0
"""How code is written, where ruff and import-linter cannot see it."""

from __future__ import annotations

import ast
import configparser
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from camfleet_api.conditions import Reason
from camfleet_base.log import FIELDS

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "camfleet_api": ROOT / "crds" / "camfleet_api",
    "camfleet_base": ROOT / "crds" / "camfleet_base",
    "camfleet_operator": ROOT / "operator" / "camfleet_operator",
    "camfleet_worker": ROOT / "workers" / "camfleet_worker",
}
MODULES = sorted(file for package in PACKAGES.values() for file in package.rglob("*.py"))

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text("utf-8"))


def _documented(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Names and docstrings of everything in a module that may have one."""
    for node in ast.walk(tree):
        if isinstance(node, Documented):
            yield getattr(node, "name", ""), ast.get_docstring(node)


def _pure_modules() -> list[Path]:
    """What the contracts of import-linter call pure."""
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    names = [
        name
        for section in contracts.sections()
        if ":pure-" in section
        for name in contracts[section]["source_modules"].split()
    ]
    return [file for name in names for file in _files_of(name)]


def _files_of(name: str) -> list[Path]:
    package, *rest = name.split(".")
    path = PACKAGES[package].joinpath(*rest)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def _offences(modules: list[Path], found: Callable[[Path], list[str]]) -> list[str]:
    """What is found in each module, with its path before it."""
    return [f"{module.relative_to(ROOT)}: {one}" for module in modules for one in found(module)]


def test_a_pure_module_gets_the_time_as_an_argument() -> None:
    def clocks(module: Path) -> list[str]:
        return [
            f"{ast.unparse(node)} in line {node.lineno}"
            for node in ast.walk(_tree(module))
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
        ]

    pure = _pure_modules()
    assert len(pure) > 30, "the contracts in .importlinter were not found"
    assert _offences(pure, clocks) == []


def test_a_module_has_its_licence_and_a_docstring() -> None:
    def lacks(module: Path) -> list[str]:
        text = module.read_text("utf-8")
        licence = text.startswith("# SPDX-License-Identifier: Apache-2.0\n")
        described = ast.get_docstring(ast.parse(text)) is not None
        return [] if licence and described else ["no licence line or no docstring"]

    assert _offences(MODULES, lacks) == []


def test_a_docstring_says_more_than_the_name() -> None:
    def empty(module: Path) -> list[str]:
        return [
            name
            for name, docstring in _documented(_tree(module))
            if docstring and name and _words(docstring) <= _words(name)
        ]

    assert _offences(MODULES, empty) == []


def _words(text: str) -> set[str]:
    """Words in lower case, of sentences and of names in either style, without articles."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return set(re.findall(r"[a-z0-9]+", apart.lower())) - {"a", "an", "the", "of"}


def test_a_todo_names_its_issue() -> None:
    def nameless(module: Path) -> list[str]:
        marks = re.findall(r"#.*\b(?:TODO|FIXME|XXX)\b.*", module.read_text("utf-8"))
        return [mark for mark in marks if not re.search(r"#\d+", mark)]

    assert _offences(MODULES, nameless) == []


def test_no_exception_is_ignored() -> None:
    def swallowed(module: Path) -> list[str]:
        return [
            f"line {node.lineno}"
            for node in ast.walk(_tree(module))
            if isinstance(node, ast.ExceptHandler)
            and _catches_everything(node)
            and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
        ]

    assert _offences(MODULES, swallowed) == []


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )


READS_A_SOCKET_ERROR = {
    "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH",
    "ENETUNREACH", "EHOSTDOWN", "ENETDOWN", "EADDRNOTAVAIL", "errorcode", "gaierror",
    "ConnectionRefusedError", "ConnectionResetError", "ConnectionAbortedError", "BrokenPipeError",
}  # fmt: skip
MAY_READ_IT = {
    "base/socket_errors.py": READS_A_SOCKET_ERROR,
    "record/storage_error.py": {"errorcode"},  # of a disk
    "relay/connector.py": {"ETIMEDOUT", "EADDRNOTAVAIL"},  # says them
    "rtsp/udp.py": {"ConnectionRefusedError"},  # ICMP of a datagram of ours
}


def test_socket_errors_are_classified_at_one_place() -> None:
    worker = PACKAGES["camfleet_worker"]

    def reads(module: Path) -> list[str]:
        tree = _tree(module)
        raised = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.Raise)
            for inner in ast.walk(node)
        }
        read = {
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute | ast.Name) and node not in raised
        }
        allowed = MAY_READ_IT.get(module.relative_to(worker).as_posix(), set())
        return sorted(read & READS_A_SOCKET_ERROR - allowed)

    assert _offences(sorted(worker.rglob("*.py")), reads) == []


def test_the_contract_needs_pydantic_and_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"camfleet_api", "pydantic", "pydantic_core"}
    for module in sorted(PACKAGES["camfleet_api"].rglob("*.py")):
        # Writing YAML is the generator's job alone, and it runs on developers' machines.
        extra = {"yaml"} if module.name == "generate.py" else set()
        assert _imported(_tree(module)) <= allowed | extra, module.name


def _imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


SAID_OF_A_TRUE_CONDITION = {
    "REACHABLE", "AUTHENTICATED", "ELIGIBLE", "STREAMING", "RELAYING", "RECORDING", "READY",
}  # fmt: skip
"""Made from the condition's type."""

NOT_YET_SAID: set[str] = set()
"""In the contract before any code can tell: a reason leaves this set with the code that says it."""


def test_every_reason_is_raised_somewhere() -> None:
    said = {
        node.attr
        for name in ("camfleet_operator", "camfleet_worker")
        for module in PACKAGES[name].rglob("*.py")
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Reason"
    }
    assert {reason.name for reason in Reason} - said - SAID_OF_A_TRUE_CONDITION == NOT_YET_SAID


def test_a_log_line_has_only_fields_that_are_named() -> None:
    """Whoever searches logs finds a camera under one name, whichever process wrote the line."""

    def unnamed(module: Path) -> list[str]:
        return [
            f"{key.value!r} in line {key.lineno}"
            for node in ast.walk(_tree(module))
            if isinstance(node, ast.keyword) and node.arg == "extra"
            for part in ast.walk(node.value)
            if isinstance(part, ast.Dict)
            for key in part.keys
            if isinstance(key, ast.Constant) and key.value not in FIELDS
        ]

    assert _offences(MODULES, unnamed) == []
    reserved = set(vars(logging.makeLogRecord({}))) | {"time", "level", "logger", "message"}
    assert not FIELDS.keys() & reserved


def test_the_environment_is_read_by_settings_alone() -> None:
    """Where a process starts it hands its environment to `settings`, and nowhere else."""
    starts = {
        "operator/camfleet_operator/__main__.py",
        "workers/camfleet_worker/app.py",
        # Whether it runs inside a cluster is Kubernetes' to say and no setting of ours.
        "workers/camfleet_worker/cluster/connection.py",
    }
    read = {
        module.relative_to(ROOT).as_posix()
        for module in MODULES
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert read == starts
