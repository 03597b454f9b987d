# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes must know of a kind beyond its schema: names, scope, columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from camfleet_api.base import Model, Rule


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column; `wide` ones appear under `kubectl get -o wide` only."""

    name: str
    json_path: str
    type: Literal["string", "integer", "date", "boolean"] = "string"
    wide: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource: everything that `generate` turns into a CustomResourceDefinition."""

    name: str
    plural: str
    short_names: tuple[str, ...]
    namespaced: bool
    description: str
    spec: type[Model]
    status: type[Model] | None
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    """Rules on the whole object: the only place that sees metadata.name and transition of spec."""

    @property
    def singular(self) -> str:
        return self.name.lower()


def ready_column(condition: str) -> Column:
    """The status of one condition."""
    return Column(condition, f".status.conditions[?(@.type=='{condition}')].status")


def reason_column(condition: str) -> Column:
    """Why: the reason of one condition."""
    return Column("Reason", f".status.conditions[?(@.type=='{condition}')].reason")


def message_column(condition: str) -> Column:
    """What to do next: the message of one condition."""
    return Column("Message", f".status.conditions[?(@.type=='{condition}')].message", wide=True)


AGE = Column("Age", ".metadata.creationTimestamp", "date")


NAME_RULE = Rule(
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && "
    "size(self.metadata.name) <= 63",
    "metadata.name must be a DNS label of at most 63 characters: "
    "it is used as a label, in file names and in references",
)
"""Kubernetes allows dots and 253 characters in most names; what refers to an object does not."""
