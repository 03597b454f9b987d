# SPDX-License-Identifier: Apache-2.0
"""Measures one picture: some numbers, a small grey copy and a map of edges. Pure.

The decoder calls it with the planes in the frame's memory. Nothing is scaled: samples are picked
by stride. The numbers mean the same at every resolution, because a row always has about 160
samples; at 720p they are eight pixels apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Map = NDArray[np.float32]

COLUMNS = 160
"""About how many samples a row has."""
CELL = 5
"""Samples along the side of a cell, in which change and texture are measured; a picture has some
32 by 18 cells."""
EDGE_CELL = 2
"""Samples along the side of a cell of the map of edges. It is fine enough to notice a camera that
was turned by a twentieth of its view, and coarse enough to ignore a camera shaken by wind."""
DARK = 40
"""A sample with less luma is dark: video's black and a tenth of its range, as in FFmpeg's
blackdetect."""
BRIGHT = 225
"""A sample with this luma or more is burnt out; video's white is 235."""
_NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution for a median absolute deviation of 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The measurements of one picture."""

    mean: float
    """Luma, 0 to 255."""
    spread: float
    """Deviation of the cells' means, which noise hardly changes."""
    dark: float
    """Share of dark samples."""
    bright: float
    """Share of samples that are burnt out."""
    detail: float
    """Variance of the Laplacian."""
    noise: float
    """Deviation of the Laplacian in flat parts of the picture."""
    colour: float
    """Mean distance of the chroma from grey; an infra-red picture has 0."""
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
    """Means of square cells; samples beyond the last whole cell are left out."""
    rows, columns = samples.shape[0] // size, samples.shape[1] // size
    whole = samples[: rows * size, : columns * size].reshape(rows, size, columns, size)
    means: Map = whole.mean(axis=(1, 3), dtype=np.float32)
    return means


def cell_changes(one: Plane, other: Plane) -> Map:
    """Mean absolute difference in each cell, less the difference of its mean, so that light which
    fades is no change. Both pictures have one size.
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
    """The Laplacian between samples, not between pixels: at this distance the detail that a person
    needs differs from noise, of which an encoder leaves little."""
    samples = small.astype(np.float32)
    sides = samples[:-2, 1:-1] + samples[2:, 1:-1] + samples[1:-1, :-2] + samples[1:-1, 2:]
    return samples[1:-1, 1:-1] * np.float32(4) - sides


def _colour(chroma: tuple[Plane, ...], stride: int) -> float:
    if not chroma:
        return 0.0
    samples = [plane[::stride, ::stride].astype(np.int16) for plane in chroma]
    return float(np.mean([np.abs(plane - 128).mean() for plane in samples]))
