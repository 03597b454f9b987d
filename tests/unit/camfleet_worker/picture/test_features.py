# SPDX-License-Identifier: Apache-2.0
"""What is measured of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camfleet_worker.picture.features import cell_changes, features_of


def noise(width: int, height: int, mean: float, sigma: float) -> np.ndarray:
    luma = np.random.default_rng(1).normal(mean, sigma, (height, width))
    return np.clip(luma, 0, 255).astype(np.uint8)


@settings(max_examples=50)
@given(
    width=st.integers(10, 2000),
    height=st.integers(10, 1200),
    level=st.integers(0, 255),
)
def test_a_flat_picture_of_any_size_has_its_level_and_nothing_else(
    width: int, height: int, level: int
) -> None:
    stride = max(1, round(width / 160))
    if height // stride < 10 or width // stride < 10:
        return
    features = features_of(np.full((height, width), level, np.uint8))
    assert features.mean == level
    assert (features.spread, features.detail, features.noise) == (0, 0, 0)
    assert features.dark == (level < 40)
    assert features.bright == (level >= 225)
    assert not features.edges.any()


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (1920, 1080), (3840, 2160)])
def test_noise_is_no_spread_at_any_resolution(size: tuple[int, int]) -> None:
    features = features_of(noise(*size, mean=100, sigma=10))
    assert features.spread < 3
    assert features.noise == pytest.approx(10 * np.sqrt(20), rel=0.1)


@pytest.mark.parametrize("width", [320, 640, 1280, 1920])
def test_a_picture_has_about_as_many_samples_at_any_resolution(width: int) -> None:
    small = features_of(np.zeros((width * 9 // 16, width), np.uint8)).small
    assert 150 <= small.shape[1] <= 180


def test_light_that_fades_changes_no_cell_and_a_person_changes_some() -> None:
    before = noise(160, 90, mean=100, sigma=0)
    assert not cell_changes(before, before - np.uint8(10)).any()
    after = before.copy()
    after[32:48, 42:53] = 200
    assert 0 < np.count_nonzero(cell_changes(before, after)) < 20


def test_chroma_distinguishes_colour_from_infra_red() -> None:
    luma = np.zeros((90, 160), np.uint8)
    grey, warm = np.full((45, 80), 128, np.uint8), np.full((45, 80), 150, np.uint8)
    assert features_of(luma, (grey, grey)).colour == 0
    assert features_of(luma, (grey, warm)).colour == 11
