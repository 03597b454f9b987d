# SPDX-License-Identifier: Apache-2.0
"""Knowledge that has one place: code beside that place that would know it again is refused here."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    file
    for package in ("crds/camfleet_api", "operator/camfleet_operator", "workers/camfleet_worker")
    for file in (ROOT / package).rglob("*.py")
)


def _found(breaks: Callable[[ast.AST], bool], but_in: dict[str, str]) -> list[str]:
    """Each expression of the product that breaks a rule, with its place."""
    return [
        f"{module.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for module in MODULES
        if module.relative_to(ROOT).as_posix() not in but_in
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.expr) and breaks(node)
    ]


def _breaks(line: str, rule: Callable[[ast.AST], bool]) -> bool:
    return any(rule(node) for node in ast.walk(ast.parse(line)))


# Which device an address names: camfleet_api.device_address

WRITES_A_HOST = {
    "crds/camfleet_api/device_address.py": "the one place",
    "workers/camfleet_worker/relay/target.py": "writes the URL of a monitoring system",
    "workers/camfleet_worker/resolve/addresses.py": "writes the URL of a camera",
    "workers/camfleet_worker/rtsp/target.py": "writes the URL of a stream",
}
"""Modules that may put a host and a port together, and why."""


def test_devices_are_compared_by_their_address_and_by_nothing_made_by_hand() -> None:
    """A key made of host and port beside `DeviceAddress` would tell two spellings of one host
    apart, and try one account twice as often as its lockout allows."""
    assert _found(_names_a_device_by_hand, WRITES_A_HOST) == []


@pytest.mark.parametrize(
    "line",
    [
        'f"{camera.host}:{camera.onvif_port}"',
        'f"{camera.host.lower()} {camera.onvif_port}"',
        'f"{spec.host}:{spec.ports.onvif}"',
        "key = (host.lower(), port)",
        "known[spec.host, spec.ports.onvif]",
        "host.casefold()",
        "one.camera.host == host",
        "camera.host in hosts",
        "credentials.account_key(camera.host)",
    ],
)
def test_a_key_of_a_device_made_by_hand_is_found(line: str) -> None:
    assert _breaks(line, _names_a_device_by_hand)


def _names_a_device_by_hand(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr(values):
            parts = [part.value for part in values if isinstance(part, ast.FormattedValue)]
            return _has(parts, "host") and _has(parts, "port", "onvif")
        case ast.Tuple(elements):
            return _has(elements, "host") and _has(elements, "onvif_port", "onvif")
        case ast.Compare(left, operators, others):
            equal = isinstance(operators[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn)
            values = [left, *others]
            literal = any(isinstance(value, ast.Constant) for value in values)
            return equal and not literal and _has(values, "host")
        case ast.Call(ast.Attribute(value, method), arguments):
            respelt = method in ("lower", "upper", "casefold", "rstrip", "removesuffix")
            return _has([value], "host") if respelt else "key" in method and _has(arguments, "host")
    return False


def _has(nodes: list[ast.expr], *endings: str) -> bool:
    """Whether one of them is a name or an attribute that ends so, or a method's result of one."""
    return any(name.endswith(endings) for name in map(_last_name, nodes))


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(name) | ast.Attribute(_, name):
            return name
        case ast.Call(ast.Attribute(value, _), []):
            return _last_name(value)
    return ""


# What a reason means: camfleet_api.conditions


def test_the_effects_of_a_reason_are_in_its_row_and_in_no_other_list() -> None:
    """A list of reasons beside `REASONS` says no of each reason that it does not know."""
    assert _found(_lists_reasons, {"crds/camfleet_api/conditions.py": "the one place"}) == []


@pytest.mark.parametrize(
    "line",
    [
        "CURED = frozenset({Reason.NO_FRAMES, Reason.TIMEOUT})",
        "error.reason in (Reason.ACCOUNT_LOCKED, Reason.TIMEOUT)",
        "causes = {Reason.HOST_UNREACHABLE: 1, Reason.TIMEOUT: 2}",
    ],
)
def test_a_list_of_reasons_is_found(line: str) -> None:
    assert _breaks(line, _lists_reasons)


def _lists_reasons(node: ast.AST) -> bool:
    match node:
        case ast.Set(elements) | ast.List(elements) | ast.Tuple(elements):
            return len([one for one in elements if _is_reason(one)]) > 1
        case ast.Dict(keys, _):
            return len([one for one in keys if one is not None and _is_reason(one)]) > 1
    return False


def _is_reason(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and _last_name(node.value) == "Reason"


# A message is for people

READS_A_MESSAGE = {
    "workers/camfleet_worker/onvif/transport.py": "httpx names a lost connection in words alone",
}


def test_no_decision_reads_the_text_of_a_message() -> None:
    """A sentence may be worded better; nothing may depend on it. A reason, a type of error or an
    effect of the reason decides."""
    assert _found(_decides_by_text, READS_A_MESSAGE) == []


@pytest.mark.parametrize(
    "line",
    [
        '"no media profile" not in error.detail',
        "condition.message == known",
        'error.message.startswith("The camera")',
        "condition.message.removesuffix(row.next_action)",
        'str(error) == "refused"',
        '"refused" in str(error)',
        "PATTERN.search(error.detail)",
    ],
)
def test_a_decision_by_text_is_found(line: str) -> None:
    assert _breaks(line, _decides_by_text)


def _decides_by_text(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left, operators, others):
            by_value = isinstance(operators[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn)
            return by_value and any(map(_is_text_for_people, [left, *others]))
        case ast.Call(ast.Attribute(value, method), arguments):
            if method in ("startswith", "endswith", "removeprefix", "removesuffix", "partition"):
                return _is_text_for_people(value)
            matches = method in ("search", "match", "fullmatch", "findall")
            return matches and any(map(_is_text_for_people, arguments))
    return False


def _is_text_for_people(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(_, "message" | "detail"):
            return True
        case ast.Call(ast.Name("str"), [ast.Name("error" | "failed" | "failure")]):
            return True
    return False


# A condition of a type


def test_a_condition_is_looked_up_by_the_contract() -> None:
    assert _found(_looks_a_condition_up, {"crds/camfleet_api/conditions.py": "the one place"}) == []


def test_a_look_up_by_hand_is_found() -> None:
    assert _breaks(
        "next(c for c in status.conditions if c.type == ConditionType.READY)", _looks_a_condition_up
    )


def _looks_a_condition_up(node: ast.AST) -> bool:
    match node:
        case ast.Compare(ast.Attribute(_, "type"), [ast.Eq() | ast.NotEq()], [other]):
            return _last_name(other) == "kind" or (
                isinstance(other, ast.Attribute) and _last_name(other.value) == "ConditionType"
            )
    return False
