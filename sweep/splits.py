"""The option ``splits``: words that name cuts, for every model of a sweep or for one of them."""

from __future__ import annotations

import itertools
import re

from stage_runtime.errors import ModelError
from stage_runtime.models.names import canonical_model
from sweep.errors import OptionError
from sweep.options import Options
from sweep.testbed import Testbed

_POINT = re.compile(r"[Pp]?(\d{1,4})", re.ASCII)


def _point(token: str, text: str) -> int:
    match = _POINT.fullmatch(text)
    if not match:
        raise OptionError(f"option `splits`: `{token}` is no cut; accepted: P3, P3-P9, P2+P5, vgg16:P3, all")
    return int(match[1])


def parse_split(token: str) -> tuple[tuple[int, ...], ...]:
    """Parse one word of ``splits`` into the cuts it names; refuse what is none.

    >>> parse_split("P3"), parse_split("3-5"), parse_split("P2+P5")
    (((3,),), ((3,), (4,), (5,)), ((2, 5),))
    """
    if "+" in token:
        cut = tuple(_point(token, part) for part in token.split("+"))
        if any(a >= b for a, b in itertools.pairwise(cut)):
            raise OptionError(f"option `splits`: `{token}`: split points must increase")
        return (cut,)
    low_text, dash, high_text = token.partition("-")
    low = _point(token, low_text)
    high = _point(token, high_text) if dash else low
    if high < low:
        raise OptionError(f"option `splits`: the range `{token}` is empty")
    return tuple((point,) for point in range(low, high + 1))


def split_label(cut: tuple[int, ...]) -> str:
    """Write a cut the way tables do: ``P3``, ``P3+P9``."""
    return "+".join(f"P{point}" for point in cut)


def words_for(splits: tuple[str, ...], model: str) -> tuple[str, ...]:
    """Give the words of ``splits`` that hold for `model`: ``P3`` for every model, ``vgg16:P14`` for that one.

    Raises OptionError for a word that names no known model.
    """
    own = []
    for token in splits:
        name, colon, cut = token.rpartition(":")
        try:
            meant = canonical_model(name) if colon else model
        except ModelError as exc:
            raise OptionError(f"option `splits`: `{token}`: {exc}") from exc
        if meant == model:
            own.append(cut)
    return tuple(own)


def choose_cuts(
    splits: tuple[str, ...], model: str, points: tuple[int, ...], stages: int
) -> tuple[tuple[int, ...], ...]:
    """Give the cuts of `model` into `stages` stages: those named for it by `splits`, or every one.

    Raises OptionError for a split point that the model does not have.
    """
    words = words_for(splits, model)
    if not words:
        return tuple(itertools.combinations(points, stages - 1)) if stages > 1 else ()
    cuts = [cut for word in words for cut in parse_split(word)]
    for cut in cuts:
        for point in cut:
            if point not in points:
                has = f"P{points[0]} to P{points[-1]}" if points else "none"
                raise OptionError(f"option `splits`: {model} has no split point P{point} (it has {has})")
    return tuple(dict.fromkeys(cut for cut in cuts if len(cut) == stages - 1 and stages > 1))


def refuse_useless_splits(options: Options, testbed: Testbed) -> None:
    """Refuse a word of ``splits`` that is no cut, is for a model not swept, or has as many stages as no chain."""
    chains = testbed.pick_chains(options.chains)
    lengths = {len(testbed.chains[chain]) for chain in chains}
    for token in options.splits:
        words = [word for model in options.model for word in words_for((token,), model)]
        if not words:
            raise OptionError(
                f"option `splits`: `{token}` is for a model that is not swept; swept: {', '.join(options.model)}"
            )
        stages = len(parse_split(words[0])[0]) + 1
        if stages not in lengths:
            raise OptionError(
                f"option `splits`: `{token}` makes {stages} stages, but the chains {', '.join(chains)} have "
                f"{', '.join(map(str, sorted(lengths)))} devices"
            )
