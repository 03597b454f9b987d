# SPDX-License-Identifier: Apache-2.0
"""The base of every model: strict, frozen, camelCase on the wire, plus CEL rules as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL validation (Kubernetes: CustomResourceDefinition, x-kubernetes-validations).

    `rule` is evaluated with `self` bound to the object the rule is attached to. A rule that
    mentions `oldSelf` runs on updates only. `message` is what the user reads at apply time, so
    it says what to write instead.
    """

    rule: str
    message: str
    field_path: str | None = None

    def to_wire(self) -> JsonSchema:
        """The rule as the API server takes it."""
        wire = {"rule": self.rule, "message": self.message}
        return wire if self.field_path is None else wire | {"fieldPath": self.field_path}


class Model(BaseModel):
    """A strict model: unknown fields are refused, instances never change.

    `cel` are rules on the object. `atomic` marks an object that server-side apply treats as
    one value.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_enum_values=False,
    )

    cel: ClassVar[tuple[Rule, ...]] = ()
    atomic: ClassVar[bool] = False

    @classmethod
    def read(cls, wire: object) -> Self:
        """Parse what the API server stores. Unknown fields are left out rather than refused:
        another version of ours may have written them, and the schema has pruned what no
        version knows.

        Raises pydantic.ValidationError for anything that today's bounds refuse.
        """
        return cls.model_validate(wire, extra="ignore")

    def to_wire(self) -> dict[str, Any]:
        """The object as the API server takes it: camelCase keys, absent where None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def _made_defaults(cls) -> dict[str, Model]:
        """Defaults that a factory makes, by name on the wire.

        pydantic's JSON schema leaves them out; then the API server would store an object that
        lacks what every reader of it assumes. They go into the schema in full, because CEL rules
        are tried on a default before the defaults within it are filled in.
        """
        return {
            field.alias or name: made
            for name, field in cls.model_fields.items()
            if isinstance(made := field.get_default(call_default_factory=True), Model)
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, made in cls._made_defaults().items():
            schema["properties"][name]["default"] = made.to_wire()
        if cls.cel:
            schema["x-kubernetes-validations"] = [rule.to_wire() for rule in cls.cel]
        if cls.atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        return schema


class SparseModel(Model):
    """A model whose fields are absent on the wire where they hold their default.

    For what every object of a fleet carries in its status: the API server, too, fills nothing in,
    so that a field that says nothing takes no room.
    """

    @model_serializer(mode="wrap")
    def _without_defaults(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        wire: dict[str, Any] = dump(self)
        for name, field in type(self).model_fields.items():
            for key in (name, field.alias):
                if not field.is_required() and key in wire and wire[key] == field.default:
                    del wire[key]
        return wire

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        for of_field in schema["properties"].values():
            of_field.pop("default", None)
        return schema


@dataclass(frozen=True, slots=True)
class ListType:
    """Field metadata: how server-side apply merges a list (x-kubernetes-list-type)."""

    kind: str
    keys: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchema:
        schema = handler(core_schema)
        schema["x-kubernetes-list-type"] = self.kind
        if self.keys:
            schema["x-kubernetes-list-map-keys"] = list(self.keys)
        return schema


ATOMIC_LIST = ListType("atomic")

ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
]
"""A DNS label (RFC 1123 section 2.1): short enough to be a label value and a file name."""

SecretKey = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key of a Secret's data (Kubernetes: ConfigMap and Secret keys)."""

DisplayName = Annotated[str, Field(min_length=1, max_length=200)]
Port = Annotated[int, Field(ge=1, le=65535)]
