# SPDX-License-Identifier: Apache-2.0
"""The operator's metrics are documented, each with what to do when it moves."""

from __future__ import annotations

from camfleet_operator.metrics.reference import ACTIONS, reference


def test_every_metric_has_an_action_and_no_action_is_without_its_metric() -> None:
    text = reference()
    gone = [name for name in ACTIONS if f"| `{name}`" not in text and f"`{name}_total`" not in text]
    assert gone == []


def test_a_counter_is_named_as_a_query_names_it() -> None:
    assert "| `camfleet_writes_total` | counter | kind, manager |" in reference()
