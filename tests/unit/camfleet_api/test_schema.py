# SPDX-License-Identifier: Apache-2.0
"""pydantic's JSON schema is not structural: its traps, and what the converter makes of each."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import BaseModel, Field

from camfleet_api.base import ATOMIC_LIST, ListType, Model, Rule
from camfleet_api.kind import Kind
from camfleet_api.kinds import KINDS
from camfleet_api.schema import JsonSchema, SchemaError, structural_schema

ShortText = Annotated[str, Field(max_length=8)]


class Inner(Model):
    """Inner words."""

    size: Annotated[int, Field(ge=1)] = 3


class Colour(StrEnum):
    """Colours."""

    RED = "red"
    BLUE = "blue"


def _property(model: type[BaseModel], name: str = "field") -> JsonSchema:
    return dict(structural_schema(model)["properties"][name])


def test_a_reference_is_inlined_and_definitions_are_gone() -> None:
    class Outer(Model):
        field: Inner

    schema = structural_schema(Outer)
    assert "$defs" not in schema
    assert schema["properties"]["field"]["properties"]["size"]["minimum"] == 1


def test_the_description_beside_a_reference_wins_over_the_referred_one() -> None:
    class Outer(Model):
        field: Inner = Field(description="Outer words.")
        plain: Inner

    assert _property(Outer)["description"] == "Outer words."
    assert _property(Outer, "plain")["description"] == "Inner words."


def test_a_constant_becomes_an_enum_of_one() -> None:
    class Outer(Model):
        field: Literal["only"]

    assert _property(Outer)["enum"] == ["only"]
    assert "const" not in _property(Outer)


def test_an_enumeration_keeps_its_values_and_needs_no_length() -> None:
    class Outer(Model):
        field: Colour

    assert _property(Outer) == {
        "type": "string",
        "enum": ["red", "blue"],
        "description": "Colours.",
    }


def test_an_optional_field_is_not_required() -> None:
    class Outer(Model):
        field: ShortText | None = None
        needed: ShortText

    schema = structural_schema(Outer)
    assert schema["properties"]["field"] == {"type": "string", "maxLength": 8}
    assert schema["required"] == ["needed"]


def test_a_reference_that_may_be_none_is_inlined_too() -> None:
    class Outer(Model):
        field: Inner | None = Field(None, description="Maybe.")

    assert _property(Outer)["description"] == "Maybe."
    assert _property(Outer)["type"] == "object"


def test_a_union_of_types_is_refused() -> None:
    class Outer(Model):
        field: int | ShortText

    with pytest.raises(SchemaError, match=r"Outer\.field: a union"):
        structural_schema(Outer)


def test_titles_and_closed_objects_leave_no_trace() -> None:
    class Outer(Model):
        field: Inner

    schema = structural_schema(Outer)
    assert "additionalProperties" not in schema
    assert "title" not in schema
    assert "title" not in _property(Outer)


def test_an_exclusive_bound_is_refused() -> None:
    class Outer(Model):
        field: Annotated[int, Field(gt=0)]

    with pytest.raises(SchemaError, match="exclusiveMinimum"):
        structural_schema(Outer)


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        pytest.param(str, "a string needs a greatest length", id="string"),
        pytest.param(
            Annotated[list[ShortText], ATOMIC_LIST], "a list needs a greatest length", id="list"
        ),
        pytest.param(
            Annotated[list[ShortText], Field(max_length=3)], "a list needs a list type", id="type"
        ),
        pytest.param(
            Annotated[list[str], Field(max_length=3), ATOMIC_LIST],
            r"\[\]: a string needs a greatest length",
            id="items",
        ),
        pytest.param(dict[str, ShortText], "a map needs a greatest size", id="map"),
        pytest.param(
            Annotated[dict[str, str], Field(max_length=3)],
            r"\.\*: a string needs a greatest length",
            id="map values",
        ),
    ],
)
def test_a_field_without_a_maximum_is_refused(annotation: object, complaint: str) -> None:
    model = type("Outer", (Model,), {"__annotations__": {"field": annotation}})
    with pytest.raises(SchemaError, match=complaint):
        structural_schema(model)


def test_a_time_needs_no_length() -> None:
    class Outer(Model):
        field: datetime

    assert _property(Outer) == {"type": "string", "format": "date-time"}


def test_a_map_keeps_the_schema_of_its_values() -> None:
    class Outer(Model):
        field: Annotated[dict[str, ShortText], Field(max_length=2)]

    assert _property(Outer) == {
        "type": "object",
        "maxProperties": 2,
        "additionalProperties": {"type": "string", "maxLength": 8},
    }


def test_a_list_says_how_it_is_merged() -> None:
    class Outer(Model):
        field: Annotated[list[Inner], Field(max_length=2), ListType("map", ("size",))]
        words: Annotated[list[ShortText], Field(max_length=2), ListType("set")]

    assert _property(Outer)["x-kubernetes-list-type"] == "map"
    assert _property(Outer)["x-kubernetes-list-map-keys"] == ["size"]
    assert _property(Outer, "words")["x-kubernetes-list-type"] == "set"


def test_rules_and_atomic_objects_are_carried_over() -> None:
    class Guarded(Model):
        cel: ClassVar[tuple[Rule, ...]] = (Rule("self.size > 1", "too small", ".size"),)
        atomic: ClassVar[bool] = True
        size: int

    class Outer(Model):
        field: Guarded

    assert _property(Outer)["x-kubernetes-map-type"] == "atomic"
    assert _property(Outer)["x-kubernetes-validations"] == [
        {"rule": "self.size > 1", "message": "too small", "fieldPath": ".size"}
    ]


def test_a_default_made_by_a_factory_is_written_out_in_full() -> None:
    class Outer(Model):
        field_name: Inner = Field(default_factory=Inner)

    assert _property(Outer, "fieldName")["default"] == {"size": 3}


def test_none_is_no_default() -> None:
    class Outer(Model):
        field: ShortText | None = None

    assert "default" not in _property(Outer)


def _undescribed(schema: JsonSchema, path: str) -> list[str]:
    missing = [] if schema.get("description") else [path]
    for name, child in schema.get("properties", {}).items():
        missing += _undescribed(child, f"{path}.{name}")
    if items := schema.get("items"):
        missing += [
            gap for gap in _undescribed(items, f"{path}[]") if gap != f"{path}[]"
        ]  # the list itself is described
    return missing


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_every_kind_is_described(kind: Kind) -> None:
    for model in (kind.spec, kind.status):
        if model is not None:
            assert _undescribed(structural_schema(model), kind.name) == []
