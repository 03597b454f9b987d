# SPDX-License-Identifier: Apache-2.0
"""Write the reference of values in charts/camfleet/README.md from values.yaml.

`python -m chart_values` writes; `make lint` calls it with `--check`, which writes nothing and exits
1 when the text differs. A value's meaning is the comment before it in values.yaml, and what it may
be stands in values.schema.json. Refuses a value that the schema does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from camfleet_api.generate import with_generated_part
from camfleet_base.generated_file import main

CHART = Path(__file__).parents[2] / "charts" / "camfleet"
README = CHART / "README.md"
_KEY = re.compile(r"( *)([A-Za-z]+):")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart, or a group of them."""

    path: tuple[str, ...]
    default: object
    meaning: str

    @property
    def is_group(self) -> bool:
        """A mapping of further values, each with a line of its own."""
        return isinstance(self.default, dict) and bool(self.default)


def values_of(text: str) -> Iterator[Value]:
    """Every value in the order of the file, groups before what they hold."""
    defaults = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip(" #"))
        elif found := _KEY.match(line):
            path = [*path[: len(found[1]) // 2], found[2]]
            yield Value(tuple(path), _at(defaults, path), " ".join(comment))
            comment = []
        else:
            comment = []


def _at(values: Any, path: list[str]) -> object:
    for key in path:
        values = values[key]
    return values


def allowed(schema: dict[str, Any], path: tuple[str, ...]) -> str:
    """What the schema lets a value be: its type, its bounds, its choices."""
    found = schema
    for key in path:
        properties = _resolved(schema, found).get("properties", {})
        if key not in properties:
            raise KeyError(f"values.schema.json does not know {'.'.join(path)}")
        found = properties[key]
    found = _resolved(schema, found)
    if "enum" in found:
        return ", ".join(str(choice) for choice in found["enum"])
    bounds = [str(found[key]) for key in ("minimum", "maximum") if key in found]
    return " ".join([str(found.get("type", "any")), " to ".join(bounds)]).strip()


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    definition: dict[str, Any] = schema["$defs"][part["$ref"].rpartition("/")[2]]
    return definition


def table() -> str:
    """The reference, a row a value; the comment of a group is given to its first row."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    lines = ["| value | default | may be | meaning |", "| --- | --- | --- | --- |"]
    group: list[Value] = []
    for value in values_of((CHART / "values.yaml").read_text("utf-8")):
        may_be = allowed(schema, value.path)
        if value.is_group and value.path[-1] != "resources":
            if value.meaning:
                lines.append(f"| **{'.'.join(value.path)}** | | | {_cell(value.meaning)} |")
            continue
        if any(value.path[: len(one.path)] == one.path for one in group):
            continue  # requests and limits are told with their `resources`
        if value.is_group:
            group.append(value)
        default = json.dumps(value.default)
        lines.append(
            f"| `{'.'.join(value.path)}` | `{default}` | {may_be} | {_cell(value.meaning)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main(README, with_generated_part(README.read_text("utf-8"), table()))
