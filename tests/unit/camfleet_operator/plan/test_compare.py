# SPDX-License-Identifier: Apache-2.0
"""Whether a stored object says all that we would say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camfleet_operator.plan.compare import covers, fingerprint

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(json_values)
def test_every_value_covers_itself(value: Any) -> None:
    assert covers(value, value)


@given(st.dictionaries(st.text(max_size=3), json_values), st.text(max_size=3), json_values)
def test_defaults_and_fields_of_others_do_not_count(wanted: Any, key: str, value: Any) -> None:
    assert covers({key: value, **wanted}, wanted)


@pytest.mark.parametrize(
    ("stored", "wanted", "same"),
    [
        ({"cpu": "500m"}, {"cpu": "0.5"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1G"}, {"memory": "1Gi"}, False),
        ([{"name": "a", "x": 1}, {"name": "sidecar"}], [{"name": "a"}], True),
        ([{"name": "a"}], [{"name": "a"}, {"name": "b"}], False),
        ({"replicas": 3}, {"replicas": 1}, False),
        ({}, {"replicas": 1}, False),
        ("1", ["1"], False),
    ],
)
def test_amounts_lists_and_differences(stored: Any, wanted: Any, same: bool) -> None:
    assert covers(stored, wanted) is same


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
