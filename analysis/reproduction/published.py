"""What the paper printed, as data.

Source: "Where to Split? A Pareto-Front Analysis of DNN Partitioning for Edge Inference", January 2026
(arXiv:2601.08025), its table of split points on two Raspberry Pis.  Execution and network times are seconds
per batch of 8 images, CPU is 100 % for one core, memory is per cent of the device's.
"""

from __future__ import annotations

import dataclasses
import math

TITLE = "Where to Split? A Pareto-Front Analysis of DNN Partitioning for Edge Inference"
YEAR = 2026
IDENTIFIER = "arXiv:2601.08025"
TABLE = "the table of split points on two Raspberry Pis"

BATCH = 8
LINK_MBIT = 1000.0
PI_TO_PI = "pi_to_pi"
PI_TO_GPU = "pi_to_gpu"
LESS_LATENCY = 0.76
MORE_THROUGHPUT = 0.53

_FLOAT32_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
    """A split of this project's index map that a printed one may mean; ``shape`` of one image's tensor there."""

    point: int
    shape: tuple[int, ...]

    @property
    def split(self) -> str:
        """The split's label."""
        return f"P{self.point}"

    @property
    def batch_bytes(self) -> int:
        """Bytes of a published batch at the split, as float32."""
        return BATCH * _FLOAT32_BYTES * math.prod(self.shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One printed row.  Pairs are (first device, second device).

    ``candidates`` begin with the split of the same number; a second one is there where the printed
    numbering is in doubt.
    """

    model: str
    point: int
    execution_s: tuple[float, float]
    network_s: float
    cpu_percent: tuple[float, float]
    memory_percent: tuple[float, float]
    candidates: tuple[Candidate, ...]

    @property
    def split(self) -> str:
        """The split as printed."""
        return f"P{self.point}"

    @property
    def front_share(self) -> float:
        """The first device's share of the execution time."""
        return self.execution_s[0] / sum(self.execution_s)

    def implied_mbit(self, candidate: Candidate) -> float:
        """Return the rate at which the candidate's bytes would have crossed in the printed network time."""
        return candidate.batch_bytes * 8 / self.network_s / 1e6


def _row(
    name: str, execution_s: tuple[float, float], network_s: float, percents: tuple[float, ...], *shapes: tuple[int, ...]
) -> PublishedRow:
    """Make a row from ``model Pk``; ``percents`` are CPU 1 and 2, memory 1 and 2; ``shapes`` go with k, k + 1."""
    model, point = name.rsplit(" P", 1)
    return PublishedRow(
        model=model,
        point=int(point),
        execution_s=execution_s,
        network_s=network_s,
        cpu_percent=(percents[0], percents[1]),
        memory_percent=(percents[2], percents[3]),
        candidates=tuple(Candidate(point=int(point) + more, shape=shape) for more, shape in enumerate(shapes)),
    )


# ResNet50 has two candidates: the printed numbers seem to count residual blocks after the stem, so its P5
# would be P6 here.
ROWS = (
    _row("alexnet P10", (0.451, 0.427), 0.050, (272.7, 271.9, 24.84, 21.76), (256, 13, 13)),
    _row("alexnet P11", (0.419, 0.379), 0.045, (347.7, 271.9, 21.72, 20.36), (256, 13, 13)),
    _row("inception_v3 P10", (2.873, 2.766), 0.055, (328.8, 322.7, 22.24, 20.76), (288, 35, 35)),
    _row("inception_v3 P19", (5.791, 0.002), 0.040, (345.9, 0.19, 19.48, 20.20), (2048, 1, 1)),
    _row("mobilenet_v2 P3", (0.969, 0.941), 0.048, (281.2, 309.6, 18.51, 16.16), (24, 56, 56)),
    _row("mobilenet_v2 P17", (1.818, 0.065), 0.049, (311.9, 12.1, 16.84, 15.39), (160, 7, 7)),
    _row("resnet18 P2", (0.699, 0.846), 0.043, (296.7, 329.8, 20.21, 16.73), (64, 56, 56)),
    _row("resnet18 P6", (1.290, 0.278), 0.046, (351.7, 76.2, 17.33, 16.58), (256, 14, 14)),
    _row("resnet50 P5", (2.690, 2.650), 0.052, (342.2, 336.0, 23.65, 19.48), (512, 28, 28), (512, 28, 28)),
    _row("resnet50 P15", (5.233, 0.196), 0.041, (360.4, 14.0, 19.48, 18.74), (2048, 7, 7), (2048, 7, 7)),
    _row("vgg16 P14", (6.827, 6.319), 0.056, (328.9, 305.7, 35.43, 32.87), (256, 56, 56)),
    _row("vgg16 P29", (13.37, 0.894), 0.044, (347.6, 19.3, 33.95, 34.76), (512, 14, 14)),
)
MODELS = tuple(dict.fromkeys(row.model for row in ROWS))
