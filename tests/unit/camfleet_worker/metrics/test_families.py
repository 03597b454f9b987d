# SPDX-License-Identifier: Apache-2.0
"""What is counted is shown: no counter without a metric, no metric without a word on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pytest

from camfleet_worker.journal.keeper import JournalCounters
from camfleet_worker.media.counters import LoopCounters, StreamCounters
from camfleet_worker.media_types.sink_state import SinkCounters
from camfleet_worker.metrics import families
from camfleet_worker.metrics.collector import Scrape
from camfleet_worker.metrics.families import Family
from camfleet_worker.metrics.reference import reference
from camfleet_worker.picture.pool import PictureCounters

SHOWN: list[tuple[type[Any], Mapping[str, Family]]] = [
    (StreamCounters, families.STREAM),
    (SinkCounters, families.SINKS),
    (LoopCounters, families.LOOP),
    (PictureCounters, families.PICTURES),
    (JournalCounters, families.JOURNAL),
]
EVERY = (*families.SCRAPED, *families.VIEWER)


@pytest.mark.parametrize(("counters", "shown"), SHOWN, ids=lambda one: getattr(one, "__name__", ""))
def test_every_field_that_is_counted_has_a_metric(
    counters: type[Any], shown: Mapping[str, Family]
) -> None:
    assert {field.name for field in fields(counters)} == set(shown)


def test_metrics_have_unique_names_a_meaning_and_a_next_action() -> None:
    names = [family.exposed_name for family in EVERY]
    assert len(names) == len(set(names))
    assert [family.name for family in EVERY if not (family.meaning and family.action)] == []


def test_every_metric_stands_in_the_reference() -> None:
    text = reference()
    assert [one.name for one in EVERY if f"| `{one.exposed_name}` |" not in text] == []


def test_the_bug_counter_holds_the_faults_of_every_part() -> None:
    scrape = Scrape(families.SCRAPED)
    loop = LoopCounters(stream_faults=1, sink_faults=1, listener_faults=1, loop_faults=1)
    scrape.add_fields(families.LOOP, loop)
    scrape.add_fields(families.PICTURES, PictureCounters(faults=1))
    scrape.add_fields(families.JOURNAL, JournalCounters(bugs=1))
    (bugs,) = [one for one in scrape.metrics() if one.name == families.BUGS.name]
    assert [sample.value for sample in bugs.samples] == [6]


def test_an_unknown_value_has_no_series() -> None:
    scrape = Scrape(families.SCRAPED)
    scrape.add_fields(families.STREAM, StreamCounters(packets=7), ("phu-yen", "hotel", "gate"))
    series = {one.name: [s.value for s in one.samples] for one in scrape.metrics()}
    assert series["camfleet_ingest_packets"] == [7]
    assert series["camfleet_ingest_clock_drift_ppm"] == []
