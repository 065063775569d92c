"""Who is measured: the sides of the contest, and the splits at which each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from stage_runtime.formats.cell import CodecName, EngineName, TransportName
from sweep.errors import OptionError
from sweep.matrix import Keep, PlannedCell
from sweep.options import Options, parse_options

CHAIN = "bench"
WINDOWS = (1, 3)
WARMUP = 2
BATCHES = 16


class Side(NamedTuple):
    """One way to run a model; ``split`` false: whole, on the first device."""

    name: str
    transport: TransportName
    engine: EngineName
    codec: CodecName
    split: bool = True


EAGER = Side("tcp, eager", "tcp", "eager", "none")
RPC = Side("rpc, eager", "rpc", "eager", "none")
ENGINE = Side("tcp, best engine", "tcp", "best", "none")
EVERYTHING = Side("tcp, best engine, codec auto", "tcp", "best", "auto")
UNSPLIT = tuple(
    Side(f"unsplit, {engine}", "tcp", engine, "none", split=False)
    for engine in ("eager", "channels_last", "onnxruntime")
)
SIDES = (EAGER, RPC, ENGINE, EVERYTHING, *UNSPLIT)
PICKLE = "pickle, eager"
"""The side that no cell is of: the blocking pickle transport."""

# Where one side or another was seen, or is expected by blocks' times and bytes, to be at its best: on a fast link the
# cuts that divide the computing evenly, by one engine's times or the other's, on a slow one the cuts with few bytes.
# The first two of each are the likeliest bests, and all that a quick contest tries.
SPLITS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "mobilenet_v2": {"lan": (3, 8, 4, 5), "mbit100": (5, 8, 3, 11), "mbit5": (15, 11, 8, 17)},
    "resnet18": {"lan": (3, 2, 4), "mbit100": (3, 5, 7), "mbit5": (7, 8, 5)},
    "alexnet": {"lan": (8, 6, 10), "mbit100": (9, 6, 10), "mbit5": (6, 10, 3)},
}
MODELS = tuple(SPLITS)
NETWORKS = ("lan", "mbit100", "mbit5")


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured; ``splits`` by model and network."""

    splits: dict[str, dict[str, tuple[int, ...]]]
    batch: int
    repeats: int
    cell_s: float
    results: str
    fresh: bool

    @property
    def models(self) -> tuple[str, ...]:
        """The models, in the order measured."""
        return tuple(self.splits)

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks, in the order measured."""
        return tuple(next(iter(self.splits.values())))

    def options(self) -> Options:
        """Give the options of the sweep whose matrix holds every wanted cell, and others; raises OptionError."""
        words = {
            f"{model}:P{point}": None
            for model, by_network in self.splits.items()
            for points in by_network.values()
            for point in points
        }
        return parse_options(
            {
                "model": list(self.models),
                "splits": list(words),
                "chains": CHAIN,
                "networks": list(self.networks),
                "transports": list(dict.fromkeys(side.transport for side in SIDES)),
                "engine": list(dict.fromkeys(side.engine for side in SIDES)),
                "codec": list(dict.fromkeys(side.codec for side in SIDES)),
                "batch": self.batch,
                "batches": BATCHES,
                "warmup": WARMUP,
                "window": list(WINDOWS),
                "repeats": self.repeats,
                "most_repeats": self.repeats,
                "cell_s": self.cell_s,
                "results": self.results,
                "fresh": self.fresh,
                "report": False,
            }
        )

    def keep(self) -> Keep:
        """Give the rule that picks the sides' cells from the matrix."""

        def wanted(cell: PlannedCell) -> bool:
            side = side_of(cell.split, cell.devices, cell.transport, cell.engine, cell.codec)
            return side is not None and (not side.split or cell.cut[0] in self.splits[cell.model][cell.network])

        return wanted


def side_of(
    split: str, devices: tuple[str, ...], transport: TransportName, engine: EngineName, codec: CodecName
) -> Side | None:
    """Say whose cell or row it is; None: nobody's."""
    whole = split.startswith("only:")
    if whole and split != f"only:{devices[0]}":
        return None
    return next((side for side in SIDES if side[1:] == (transport, engine, codec, not whole)), None)


def choose_splits(
    models: tuple[str, ...], networks: tuple[str, ...], words: str = ""
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Give the splits of each model under each network: those of the table, or those that `words` name.

    `words` are such as ``mobilenet_v2:3,5;alexnet:6``, under every network.  Raises OptionError for what is unknown.
    """
    own = _parse_splits(words)
    for what, names, known in (("model", models, MODELS), ("network", networks, NETWORKS), ("model", own, models)):
        for name in names:
            if name not in known:
                raise OptionError(f"unknown {what} `{name}` for the contest; known: {', '.join(known)}")
    return {model: {name: own.get(model, SPLITS[model][name]) for name in networks} for model in models}


def _parse_splits(words: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for word in filter(None, words.split(";")):
        model, colon, points = word.partition(":")
        try:
            found[model.strip()] = tuple(int(point.strip().removeprefix("P")) for point in points.split(","))
        except ValueError as exc:
            raise OptionError(
                f"`{word}` names no splits; remedy: MODEL:3,5 such as mobilenet_v2:3,5;alexnet:6"
            ) from exc
        if not colon:
            raise OptionError(f"`{word}` names no splits; remedy: MODEL:3,5 such as mobilenet_v2:3,5;alexnet:6")
    return found
