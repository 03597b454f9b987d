# SPDX-License-Identifier: Apache-2.0
"""What is measured of one picture: some numbers, a small grey copy and a map of edges. Pure.

The decoder calls it with the planes as they lie in the frame's memory; nothing is scaled, samples
are picked by stride. Numbers mean the same at every resolution: about 160 samples in a row, which
stand eight pixels of 720p apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Map = NDArray[np.float32]

COLUMNS = 160
"""Samples in a row, about."""
CELL = 5
"""Samples along a cell, the unit in which change and texture are told: some 32 by 18 of them."""
EDGE_CELL = 2
"""Samples along a cell of the map of edges: fine enough to notice a camera that was turned by a
twentieth of its view, coarse enough for one that the wind shakes."""
DARK = 40
"""Luma below it shows next to nothing: video's black and a tenth of its range, as FFmpeg's
blackdetect has it."""
BRIGHT = 225
"""Luma from here on carries no drawing: video's white is 235."""
_NORMAL_MAD = 1.4826
"""Deviation of a normal distribution, by its median absolute deviation."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One picture, measured."""

    mean: float
    """Luma, 0 to 255."""
    spread: float
    """Deviation of the cells' means: what can be told apart, whatever the noise."""
    dark: float
    """Share of dark samples."""
    bright: float
    """Share of samples that are burnt out."""
    detail: float
    """Variance of the Laplacian."""
    noise: float
    """Deviation of the Laplacian where the picture is flat."""
    colour: float
    """Mean distance of the chroma from grey: infra-red pictures have none."""
    edges: Map
    """Steps between neighbouring cells, downwards and to the right: the coarse map of edges."""
    texture: Map
    """Mean square of the Laplacian in each cell."""
    small: Plane
    """The samples."""


def features_of(luma: Plane, chroma: tuple[Plane, ...] = ()) -> Features:
    """Measure a picture by its planes, at least ten samples high and wide."""
    stride = max(1, round(luma.shape[1] / COLUMNS))
    small = np.ascontiguousarray(luma[::stride, ::stride])
    cells = cell_means(small)
    laplacian = _laplacian(small)
    return Features(
        mean=float(cells.mean()),
        spread=float(cells.std()),
        dark=float(np.count_nonzero(small < DARK) / small.size),
        bright=float(np.count_nonzero(small >= BRIGHT) / small.size),
        detail=float(laplacian.var()),
        noise=float(np.median(np.abs(laplacian)) * _NORMAL_MAD),
        colour=_colour(chroma, stride),
        edges=_edges(cell_means(small, EDGE_CELL)),
        texture=cell_means(np.square(laplacian)),
        small=small,
    )


def cell_means(samples: NDArray[np.generic], size: int = CELL) -> Map:
    """Means of square cells; what is left over at the right and below is left out."""
    rows, columns = samples.shape[0] // size, samples.shape[1] // size
    whole = samples[: rows * size, : columns * size].reshape(rows, size, columns, size)
    means: Map = whole.mean(axis=(1, 3), dtype=np.float32)
    return means


def cell_changes(one: Plane, other: Plane) -> Map:
    """Mean absolute difference within each cell, after its mean: light that fades changes nothing.

    Both pictures have one size.
    """
    difference = one.astype(np.float32) - other
    rows, columns = difference.shape[0] // CELL, difference.shape[1] // CELL
    whole = difference[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL)
    whole -= whole.mean(axis=(1, 3), keepdims=True)
    changes: Map = np.abs(whole).mean(axis=(1, 3))
    return changes


def _edges(cells: Map) -> Map:
    down = cells[1:, :-1] - cells[:-1, :-1]
    right = cells[:-1, 1:] - cells[:-1, :-1]
    return np.stack((down, right))


def _laplacian(small: Plane) -> Map:
    """Between samples, not between pixels: there what a person needs is told from noise, which an
    encoder leaves little of anyway."""
    samples = small.astype(np.float32)
    sides = samples[:-2, 1:-1] + samples[2:, 1:-1] + samples[1:-1, :-2] + samples[1:-1, 2:]
    return samples[1:-1, 1:-1] * np.float32(4) - sides


def _colour(chroma: tuple[Plane, ...], stride: int) -> float:
    if not chroma:
        return 0.0
    samples = [plane[::stride, ::stride].astype(np.int16) for plane in chroma]
    return float(np.mean([np.abs(plane - 128).mean() for plane in samples]))
