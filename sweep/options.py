"""The options of a sweep: the same names as extra vars and as ``key=value`` words.

Both front ends hand over text (Ansible's ``-e key=value`` is always a string), lists or
numbers; :func:`parse_options` turns that into one frozen :class:`Options`, or refuses it naming
the option, the value and what is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec

from stage_runtime.errors import ModelError
from stage_runtime.formats.cell import TransportName
from stage_runtime.formats.manifest import Granularity
from stage_runtime.models.names import PAPER, canonical_model
from sweep.errors import OptionError, unknown

TRANSPORTS = get_args(TransportName)
GRANULARITIES = get_args(Granularity)

_T = TypeVar("_T")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sweep was asked for.

    Empty ``chains`` mean the inventory's ``default_chains``, empty ``networks`` every condition, empty
    ``splits`` every cut.
    Where ``batches`` would take longer than ``cell_s`` seconds (0: any time), fewer are measured, but
    three and a window and one at least.  ``timeout_s`` 0 means a limit derived from each cell's
    estimate.  ``weights`` is ``seeded``, a torchvision weights name or a file; ``inputs`` is ``default``
    or a folder of images.
    """

    model: tuple[str, ...]
    splits: tuple[str, ...] = ()
    granularity: Granularity = "paper"
    chains: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    transports: tuple[TransportName, ...] = ("tcp",)
    batch: tuple[int, ...] = (1,)
    batches: int = 16
    cell_s: float = 10.0
    warmup: int = 2
    repeats: int = 1
    window: tuple[int, ...] = (1, 4)
    weights: str = "seeded"
    num_classes: int = 1000
    inputs: str = "default"
    seed: int = 0
    timeout_s: float = 0.0
    results: str = "results"
    report: bool = True
    dry_run: bool = False
    fresh: bool = False
    retry_failed: bool = False


OPTION_HELP: Mapping[str, str] = {
    "model": "model or list of models (vgg16, or vgg16,resnet18)",
    "splits": "cuts to measure: P3, P3-P9 (a range), P2+P5 (three devices); default: every cut",
    "granularity": "paper (the published block indices) or all (every single-tensor crossing)",
    "chains": "chains of the inventory; default: its default_chains",
    "networks": "network conditions of the inventory; default: every one",
    "transports": "tcp",
    "batch": "images per batch, or a list",
    "batches": "measured batches per run",
    "cell_s": "measure fewer batches (at least 3, and window + 1) where they would take longer than this; 0: never",
    "warmup": "batches before them that are not measured",
    "repeats": "runs of every cell",
    "window": "batches in flight, or a list; 1 gives latency, more gives throughput",
    "weights": "seeded, a torchvision weights name, or a .pth or .safetensors file",
    "num_classes": "outputs of the classifier (the published runs used 10)",
    "inputs": "default (two photographs), or a folder of images",
    "seed": "seed of the weights and of the order of cells",
    "timeout_s": "limit for one cell in seconds; 0 derives it from the estimate",
    "results": "folder for campaigns",
    "report": "draw tables and report.html at the end",
    "dry_run": "print the matrix and an estimate, touch no device",
    "fresh": "begin a new campaign instead of going on with the last one like it",
    "retry_failed": "run cells again that failed, timed out or were invalid",
}


def _text(name: str, value: Any) -> str:
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text:
        raise OptionError(f"option `{name}`: expected one value, got {value!r}")
    return text


def _items(name: str, value: Any) -> tuple[str, ...]:
    """Split ``a,b`` or a list into its words; refuse an empty list."""
    raw = value if isinstance(value, list | tuple) else str(value).strip("[] ").split(",")
    words = tuple(str(item).strip().strip("'\"") for item in raw)
    if not words or not all(words):
        raise OptionError(f"option `{name}`: empty list item in {value!r}; remedy: give words separated by commas")
    return _once(name, value, words)


def _once(name: str, value: Any, parsed: tuple[_T, ...]) -> tuple[_T, ...]:
    """Refuse two items that mean the same (``8,08``; ``vgg16,VGG16``): each cell is in the matrix once."""
    if len(set(parsed)) != len(parsed):
        raise OptionError(f"option `{name}`: {value!r} names one thing twice")
    return parsed


def _integer(name: str, value: Any, least: int) -> int:
    text = _text(name, value)
    if not re.fullmatch(r"-?\d+", text) or int(text) < least:
        raise OptionError(f"option `{name}`: got `{text}`, accepted: whole numbers from {least}")
    return int(text)


def _integers(name: str, value: Any) -> tuple[int, ...]:
    return _once(name, value, tuple(_integer(name, word, 1) for word in _items(name, value)))


def _splits(name: str, value: Any) -> tuple[str, ...]:
    words = () if value == "" else _items(name, value)
    return () if words == ("all",) else words


def _boolean(name: str, value: Any) -> bool:
    text = str(value).strip().lower()
    if text in _TRUE | _FALSE:
        return text in _TRUE
    raise OptionError(f"option `{name}`: got `{value}`, accepted: true, false")


def _seconds(name: str, value: Any) -> float:
    try:
        seconds = float(_text(name, value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:  # noqa: PLR2004 - about four months; also refuses inf and nan
        raise OptionError(f"option `{name}`: got `{value}`, accepted: seconds from 0")
    return seconds


def _model(name: str, word: str, granularity: str) -> str:
    try:
        return canonical_model(word)
    except ModelError as exc:
        if granularity == "paper":
            more = "; granularity=all takes any torchvision classification model"
            raise OptionError(f"option `{name}`: {unknown('model', word, PAPER)}{more}") from exc
        raise OptionError(f"option `{name}`: {exc}") from exc


def _models(name: str, value: Any, granularity: str) -> tuple[str, ...]:
    models = _once(name, value, tuple(_model(name, word, granularity) for word in _items(name, value)))
    for model in models:
        if granularity == "paper" and model not in PAPER:
            raise OptionError(
                f"option `{name}`: `{model}` has no published split points (those that have: "
                f"{', '.join(sorted(PAPER))}); remedy: granularity=all"
            )
    return models


def _choice(name: str, value: Any, accepted: tuple[str, ...]) -> str:
    text = _text(name, value)
    if text not in accepted:
        raise OptionError(f"option `{name}`: {unknown('value', text, accepted)}")
    return text


def _weights(name: str, value: Any) -> str:
    text = _text(name, value)
    if text.endswith((".pth", ".pt", ".safetensors")) or "/" in text:
        path = Path(text).expanduser()
        if not path.is_file():
            raise OptionError(f"option `{name}`: no file `{text}`; remedy: give a path to a .pth or .safetensors file")
        return str(path.resolve())
    return text


def _inputs(name: str, value: Any) -> str:
    text = _text(name, value)
    if text == "default":
        return text
    path = Path(text).expanduser()
    if not path.is_dir():
        raise OptionError(f"option `{name}`: no folder `{text}`; remedy: give a folder of images, or `default`")
    return str(path.resolve())


_PARSERS: Mapping[str, Callable[[str, Any], Any]] = {
    "splits": _splits,
    "granularity": lambda n, v: _choice(n, v, GRANULARITIES),
    "chains": _items,
    "networks": _items,
    "transports": lambda n, v: tuple(_choice(n, word, TRANSPORTS) for word in _items(n, v)),
    "batch": _integers,
    "batches": lambda n, v: _integer(n, v, 2),
    "warmup": lambda n, v: _integer(n, v, 1),
    "repeats": lambda n, v: _integer(n, v, 1),
    "window": _integers,
    "weights": _weights,
    "num_classes": lambda n, v: _integer(n, v, 1),
    "inputs": _inputs,
    "seed": lambda n, v: _integer(n, v, 0),
    "cell_s": _seconds,
    "timeout_s": _seconds,
    "results": _text,
    "report": _boolean,
    "dry_run": _boolean,
    "fresh": _boolean,
    "retry_failed": _boolean,
}


def parse_options(raw: Mapping[str, Any]) -> Options:
    """Make :class:`Options` of what a front end was given.

    Raises OptionError for a name that does not exist (with the nearest one that does), for a
    bad value (with those accepted), and where ``model`` is missing.
    """
    names = Options.__struct_fields__
    for name in raw:
        if name not in names:
            raise OptionError(unknown("option", name, names))
    if not raw.get("model"):
        raise OptionError(f"option `model` is missing; remedy: model=NAME, one or more of {', '.join(sorted(PAPER))}")
    values = {name: parse(name, raw[name]) for name, parse in _PARSERS.items() if name in raw}
    values["model"] = _models("model", raw["model"], values.get("granularity", "paper"))
    options = Options(**values)
    if options.batches <= max(options.window):
        raise OptionError(
            f"option `batches`: {options.batches} batches are no more than a window of {max(options.window)}, which "
            f"gives no throughput; remedy: batches={max(options.window) + 1} or more, or smaller windows"
        )
    return options


def parse_words(words: list[str]) -> dict[str, str]:
    """Turn ``key=value`` words into a mapping; refuse a word without ``=`` and a key given twice."""
    pairs: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise OptionError(f"`{word}` is not of the form key=value; options: {', '.join(Options.__struct_fields__)}")
        if key in pairs:
            raise OptionError(f"option `{key}` is given twice; remedy: {key}={pairs[key]},{value}")
        pairs[key] = value
    return pairs
