# SPDX-License-Identifier: Apache-2.0
"""pydantic models to structural schemas (Kubernetes: CustomResourceDefinition, "Specifying a
structural schema"). Pure.

pydantic's JSON schema is not structural: `$defs` and `$ref`, `const`, `anyOf` with null,
`additionalProperties: false` beside properties, `title`, and numeric exclusive bounds are refused
by the API server or silently useless. What cannot be said structurally raises SchemaError here,
so that it is noticed when the model is written and not when the chart is installed.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

JsonSchema = dict[str, Any]

_KEPT = {
    "type",
    "format",
    "description",
    "default",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
}
_DROPPED = {"title", "$defs"}
_HANDLED = {"properties", "items", "additionalProperties", "anyOf", "$ref", "const"}


class SchemaError(ValueError):
    """A model says something that a structural schema cannot."""


def structural_schema(model: type[BaseModel]) -> JsonSchema:
    """The structural schema of a model, `$ref` inlined, optional fields simply not required."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _convert(node: JsonSchema, definitions: dict[str, JsonSchema], path: str) -> JsonSchema:
    node = _without_null(_inlined(node, definitions), definitions, path)
    if unknown := node.keys() - _KEPT - _DROPPED - _HANDLED:
        raise SchemaError(f"{path}: {', '.join(sorted(unknown))} has no structural form")
    result = {key: node[key] for key in node if key in _KEPT}
    if "const" in node:
        result["enum"] = [node["const"]]
    if result.get("default", ...) is None:
        del result["default"]
    if "properties" in node:
        result["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}")
            for name, child in node["properties"].items()
        }
    elif isinstance(additional := node.get("additionalProperties"), dict):
        result["additionalProperties"] = _convert(additional, definitions, f"{path}.*")
    if "items" in node:
        result["items"] = _convert(node["items"], definitions, f"{path}[]")
    _demand_bounds(result, path)
    return result


def _inlined(node: JsonSchema, definitions: dict[str, JsonSchema]) -> JsonSchema:
    """The node with its `$ref` replaced; what stands beside the `$ref` wins (description)."""
    while "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        node = target | {key: value for key, value in node.items() if key != "$ref"}
    return node


def _without_null(node: JsonSchema, definitions: dict[str, JsonSchema], path: str) -> JsonSchema:
    """`X | None` means that the key may be absent, so only X remains."""
    if "anyOf" not in node:
        return node
    others = [option for option in node["anyOf"] if option.get("type") != "null"]
    if len(others) != 1:
        raise SchemaError(f"{path}: a union of several types has no structural form")
    outer = {key: value for key, value in node.items() if key != "anyOf"}
    return _inlined(others[0], definitions) | outer


def _demand_bounds(node: JsonSchema, path: str) -> None:
    """CEL is budgeted by the greatest size of strings and lists, so all of them need one."""
    kind = node.get("type")
    is_short = "enum" in node or node.get("format") == "date-time"
    if kind == "string" and "maxLength" not in node and not is_short:
        raise SchemaError(f"{path}: a string needs a greatest length")
    if kind == "array" and "maxItems" not in node:
        raise SchemaError(f"{path}: a list needs a greatest length")
    if kind == "array" and "x-kubernetes-list-type" not in node:
        raise SchemaError(f"{path}: a list needs a list type")
    if kind == "object" and "additionalProperties" in node and "maxProperties" not in node:
        raise SchemaError(f"{path}: a map needs a greatest size")
