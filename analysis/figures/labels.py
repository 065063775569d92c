"""Put labels beside points so that they cover neither points nor each other.

Greedy: labels come in order of importance, each takes the first free place round its point.  One
that finds none is left out, unless it must be shown: then it goes where it covers least.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

# width of an average character and height of a line, in font sizes (DejaVu Sans, generous)
_CHARACTER = 0.62
_LINE = 1.15
_DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
_DISTANCES = (5.0, 10.0, 17.0, 26.0, 37.0, 50.0)
# a label that may be left out is, rather than led to by a line
_NEAR = _DISTANCES[:2]
_LEADER_FROM = 11.0
# square pixels that rounding may leave of no overlap
_NOTHING = 1e-6

Boxes = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
    """A text for the point (``x``, ``y``) in data coordinates."""

    text: str
    x: float
    y: float
    colour: str
    size: float
    weight: str = "normal"
    required: bool = True


class Box(NamedTuple):
    """A rectangle in display coordinates."""

    left: float
    bottom: float
    right: float
    top: float


def covered(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Return for each row of ``boxes`` the area of it that the rows of ``others`` cover, counted once for each."""
    width = np.minimum(others[:, 2], boxes[:, 2, np.newaxis]) - np.maximum(others[:, 0], boxes[:, 0, np.newaxis])
    height = np.minimum(others[:, 3], boxes[:, 3, np.newaxis]) - np.maximum(others[:, 1], boxes[:, 1, np.newaxis])
    area: npt.NDArray[np.float64] = (width.clip(min=0) * height.clip(min=0)).sum(axis=1)
    return area


def as_boxes(boxes: Boxes | Sequence[Box]) -> Boxes:
    """Return boxes as rows of (left, bottom, right, top)."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def place_labels(axes: Axes, labels: Sequence[Label], obstacles: Sequence[Box], lines: Sequence[Box] = ()) -> None:
    """Draw ``labels`` in order of importance, off ``obstacles`` and ``lines`` and inside the axes.

    A label that must be shown would rather cross a line than cover an obstacle or another label.

    The axes must have their final limits and position.
    """
    frame = Box(left=axes.bbox.x0, bottom=axes.bbox.y0, right=axes.bbox.x1, top=axes.bbox.y1)
    taken = as_boxes([*obstacles, *lines])
    points = to_display(axes, [(label.x, label.y) for label in labels])
    for label, point in zip(labels, points, strict=True):
        spot = choose_place(label, point, axes.figure.dpi / 72, taken, frame)
        if spot is not None:
            taken = np.vstack([taken, spot[0]])
            _draw(axes, label, spot[1])


def to_display(axes: Axes, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return where points of the data lie, in pixels; many at once, as each call takes as long as many points."""
    found: npt.NDArray[np.float64] = axes.transData.transform(np.array(points, dtype=np.float64).reshape(-1, 2))
    return [(across, up) for across, up in found.tolist()]


def choose_place(
    label: Label, point: tuple[float, float], scale: float, taken: Boxes | Sequence[Box], frame: Box
) -> tuple[Box, tuple[float, float]] | None:
    """Return the label's box and its offset from ``point`` (to its centre, in points), or None.

    ``scale`` is pixels per point.
    """
    # all places at once: a figure has hundreds of labels, each with dozens of places
    half = _half_size(label)
    offsets = _offsets(half, _DISTANCES if label.required else _NEAR)
    centres = np.array(point) + offsets * scale
    boxes = np.hstack([centres - half * scale, centres + half * scale])
    outside = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) - covered(boxes, as_boxes([frame]))
    costs = covered(boxes, as_boxes(taken)) + outside
    free = np.flatnonzero(costs <= _NOTHING)
    if not len(free) and not label.required:
        return None
    chosen = int(free[0]) if len(free) else int(costs.argmin())
    across, up = offsets[chosen].tolist()
    return Box(*boxes[chosen].tolist()), (across, up)


def _half_size(label: Label) -> npt.NDArray[np.float64]:
    return np.array([len(label.text) * label.size * _CHARACTER / 2, label.size * _LINE / 2])


def _offsets(half: npt.NDArray[np.float64], distances: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return offsets of a label's centre from its point, the nearest first."""
    directions = np.array(_DIRECTIONS)
    nearer = np.where(directions.all(axis=1), 0.7, 1.0)
    return np.vstack([directions * (half + (distance * nearer)[:, np.newaxis]) for distance in distances])


def _draw(axes: Axes, label: Label, offset: tuple[float, float]) -> None:
    gap = max(abs(offset[0]) - len(label.text) * label.size * _CHARACTER / 2, abs(offset[1]) - label.size)
    far = gap > _LEADER_FROM
    axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=label.size,
        color=label.colour,
        fontweight=label.weight,
        arrowprops={"arrowstyle": "-", "color": label.colour, "lw": 0.5, "shrinkA": 0, "shrinkB": 3} if far else None,
        zorder=6,
    )
