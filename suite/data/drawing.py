"""Images of Pathfinder's snakes and markers, white on black (paper, section 5.6).

Paddles are rectangles and markers are discs. Their edges are antialiased: a pixel has `antialias` sub-pixels in each
direction, and the brightness of a sub-pixel is its covered share (as if it were aligned with the edge).
"""

from __future__ import annotations

import numpy as np

from suite.data.snakes import Snakes, unit

AT_ONCE = 64  # number of images that fit into a CPU's cache


def render(snakes: Snakes) -> np.ndarray:
    """Images (n, size, size) uint8. If shapes overlap, the brighter one is visible."""
    images = np.empty((len(snakes.labels), snakes.geometry.size, snakes.geometry.size), np.uint8)
    for begin in range(0, len(images), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        images[part] = np.rint(255 * np.minimum(brightness(snakes, part), 1))
    return images


def brightness(snakes: Snakes, part: slice) -> np.ndarray:
    """Brightness (images, size, size) of a slice of the images. It may exceed 1."""
    g = snakes.geometry
    centers, directions = snakes.centers[part], snakes.directions[part]
    reach = int(np.ceil(max(np.hypot(g.half, g.thickness / 2), g.marker_radius))) + 1
    canvas = np.zeros((len(centers), g.size + 2 * reach, g.size + 2 * reach), np.float32)
    for k in range(centers.shape[1]):
        there = np.flatnonzero(~np.isnan(centers[:, k]))
        contrast = g.snake_contrast * (g.paddle_contrast if k < 2 * g.paddles else 1)  # as in the original
        stamp(canvas, there, centers[there, k], reach, g.antialias, contrast, unit(directions[there, k]),
              (g.half, g.thickness / 2))
    for k in (0, 1):
        stamp(canvas, np.arange(len(centers)), snakes.tips[part, k], reach, g.antialias, 1, None, (g.marker_radius,))
    return canvas[:, reach:-reach, reach:-reach]


def stamp(canvas: np.ndarray, rows: np.ndarray, centers: np.ndarray, reach: int, scale: int, contrast: float,
          along: np.ndarray | None, extent: tuple[float, ...]) -> None:
    """Draw a shape into each image of `rows`: a rectangle of these half sides, or a disc of this radius."""
    side = 2 * reach + 1
    corner = np.floor(centers.real).astype(int), np.floor(centers.imag).astype(int)  # of its square, on the canvas
    steps = ((np.arange(side * scale) + 0.5) / scale - reach).astype(np.float32)
    grid = (steps[:, None] + 1j * steps).astype(np.complex64).ravel()
    offset = grid - (centers - corner[0] - 1j * corner[1])[:, None].astype(np.complex64)
    if along is None:
        covered = share(np.abs(offset), extent[0], scale)
    else:
        offset *= along.conj()[:, None].astype(np.complex64)
        covered = share(np.abs(offset.real), extent[0], scale) * share(np.abs(offset.imag), extent[1], scale)
    pixels = covered.reshape(-1, side, scale, side, scale).mean((2, 4)) * np.float32(contrast)
    i, j = (c[:, None] + np.arange(side) for c in corner)
    where = rows[:, None, None], i[:, :, None], j[:, None, :]
    canvas[where] = np.maximum(canvas[where], pixels)


def share(distance: np.ndarray, limit: float, scale: int) -> np.ndarray:
    """The share of a sub-pixel within `limit` of a center line, from which its center has this `distance`."""
    return np.clip((np.float32(limit) - distance) * np.float32(scale) + np.float32(0.5), 0, 1)
