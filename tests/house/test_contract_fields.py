# SPDX-License-Identifier: Apache-2.0
"""The contract keeps its promises: what a spec declares is read by the operator or a worker.

A field counts as read where a module that imports from the contract reads an attribute of its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from camfleet_api.base import Model
from camfleet_api.kind import Kind
from camfleet_api.kinds import KINDS

ROOT = Path(__file__).parents[2]
READERS = (ROOT / "operator" / "camfleet_operator", ROOT / "workers" / "camfleet_worker")

FOR_PEOPLE = {
    "CameraSpec.display_name": "a label, shown by whoever lists cameras",
    "SiteSpec.address": "a label, shown by whoever lists sites",
    "SiteSpec.display_name": "a label, shown by whoever lists sites",
    "SiteSpec.kind": "an attribute to select and count sites by",
    "SiteSpec.managed_by": "an attribute to select and count sites by, and a printed column",
    "SiteSpec.province": "an attribute to select and count sites by",
    "ProvinceRef.code": "see SiteSpec.province",
    "ProvinceRef.vintage": "see SiteSpec.province",
    "TechnicalProfileSpec.version": "names the paper for people, and a printed column",
}
"""What no program acts on, and what it is for."""


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    """The models that a field's type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _fields(model: type[Model]) -> Iterator[tuple[str, str]]:
    """Names of all fields below a model, as `Model.field` and as the attribute that is read."""
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{name}", name
        for inner in _models_in(field.annotation):
            yield from _fields(inner)


def _attributes_read() -> set[str]:
    """Attributes that modules of operator and worker read which import from the contract."""
    trees = (
        ast.parse(module.read_text("utf-8"))
        for folder in READERS
        for module in folder.rglob("*.py")
    )
    return {
        node.attr
        for tree in trees
        if _imports_contract(tree)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def _imports_contract(tree: ast.Module) -> bool:
    modules = (node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return any(module.partition(".")[0] == "camfleet_api" for module in modules)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_a_spec_is_read(kind: Kind) -> None:
    read = _attributes_read()
    unread = {
        field
        for field, attribute in _fields(kind.spec)
        if attribute not in read and field not in FOR_PEOPLE
    }
    assert unread == set(), "read them, or take them out of the contract"


def test_each_field_for_people_only_exists() -> None:
    known = {field for kind in KINDS for field, _ in _fields(kind.spec)}
    assert FOR_PEOPLE.keys() <= known


def test_a_field_without_a_reader_is_found() -> None:
    class Promise(Model):
        kept_by_nobody: bool = False

    assert {attribute for _, attribute in _fields(Promise)}.isdisjoint(_attributes_read())
