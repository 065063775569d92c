"""Which cells are swept to see how near their bounds they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.testbed import NETWORKS as CONDITIONS
from sweep.matrix import PlannedCell
from sweep.options import Options, parse_options
from sweep.splits import parse_split

CHAIN = "pair"
DEVICES = ("d1", "d2")
NETWORKS: Mapping[str, Mapping[str, Any]] = {name: CONDITIONS[name] for name in ("lan", "mbit100", "mbit5")}
WINDOWS = (1, 3)

# An early, a middle and a late split of each, where activations are large, of middling size and small.
SPLITS = (
    "alexnet:P3,alexnet:P6,alexnet:P11,inception_v3:P7,inception_v3:P13,inception_v3:P17,mobilenet_v2:P3,"
    "mobilenet_v2:P8,mobilenet_v2:P14,resnet18:P2,resnet18:P4,resnet18:P6,resnet50:P4,resnet50:P9,resnet50:P14,"
    "vgg16:P10,vgg16:P17,vgg16:P24"
)
EVERY_SPLIT = "all"


def options_for(
    *, splits: str, networks: str, engines: str, batches: str, repeats: int, cell_s: float, results: str, fresh: bool
) -> Options:
    """Give the sweep's options; raises OptionError for words it does not know."""
    named = SPLITS if splits == EVERY_SPLIT else splits
    models = list(dict.fromkeys(word.partition(":")[0] for word in named.split(",")))
    if splits != EVERY_SPLIT:
        for word in named.split(","):
            parse_split(word.rpartition(":")[2])  # refused before any device is brought up
    return parse_options(
        {
            "model": models,
            "splits": splits,
            "chains": CHAIN,
            "networks": networks,
            "transports": "tcp",
            "engine": engines,
            "codec": "none",
            "batch": batches,
            "window": list(WINDOWS),
            "batches": 16,
            "warmup": 1,
            "repeats": repeats,
            "most_repeats": repeats,
            "cell_s": cell_s,
            "results": results,
            "fresh": fresh,
            "report": False,
        }
    )


def is_split(cell: PlannedCell) -> bool:
    """Tell whether a cell is a split's: the unsplit model would say nothing of transports."""
    return bool(cell.cut)
