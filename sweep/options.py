"""The options of a sweep: the same names as extra vars and as ``key=value`` words.

Both front ends hand over text (Ansible's ``-e key=value`` is always a string), lists or
numbers; :func:`parse_options` turns that into one frozen :class:`Options`, or refuses it naming
the option, the value and what is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from stage_runtime.errors import ModelError
from stage_runtime.formats.cell import SILENCE_S, CodecName, EngineName, TransportName
from stage_runtime.formats.manifest import Granularity
from stage_runtime.models.names import PAPER, canonical_model
from sweep import values
from sweep.budgets import BUDGET_NAMES, BudgetName, fill_in
from sweep.errors import OptionError, unknown

TRANSPORTS = get_args(TransportName)
ENGINES = get_args(EngineName)
CODECS = get_args(CodecName)
GRANULARITIES = get_args(Granularity)
_LEAST_SILENCE_S, _MOST_SILENCE_S = 2.0, 25.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sweep was asked for.

    Empty ``chains`` mean the inventory's ``default_chains``, empty ``networks`` every condition, empty
    ``splits`` every cut, empty ``transports`` those of :func:`sweep.transports.transports_of`.
    A cell is run ``repeats`` times at least, and on until its interval's half width is no more than
    ``target_percent`` of its figure, or ``most_repeats`` times.  ``budget`` gives the options of
    :data:`sweep.budgets.BUDGETS` their values where they are not given; the defaults here are those of ``normal``.
    Where ``batches`` would take longer than ``cell_s`` seconds (0: any time), fewer are measured, but
    three and a window and one at least.  ``timeout_s`` 0 means a limit derived from each cell's
    estimate; a stage that is silent for ``silence_s`` seconds ends its cell before that.  ``patience_s`` is how long a
    device that was lost is tried again once all else is done, 0 being once.
    ``weights`` is ``seeded``, a torchvision weights name or a file; ``inputs`` is ``default``
    or a folder of images.
    """

    model: tuple[str, ...]
    splits: tuple[str, ...] = ()
    granularity: Granularity = "paper"
    chains: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    transports: tuple[TransportName, ...] = ()
    engine: tuple[EngineName, ...] = ("eager",)
    codec: tuple[CodecName, ...] = ("none",)
    budget: BudgetName = "normal"
    batch: tuple[int, ...] = (1,)
    batches: int = 16
    cell_s: float = 10.0
    warmup: int = 2
    repeats: int = 3
    most_repeats: int = 10
    target_percent: float = 5.0
    window: tuple[int, ...] = (1, 4)
    weights: str = "seeded"
    num_classes: int = 1000
    inputs: str = "default"
    seed: int = 0
    timeout_s: float = 0.0
    silence_s: float = SILENCE_S
    tls: bool = False
    patience_s: float = 60.0
    results: str = "results"
    report: bool = True
    dry_run: bool = False
    fresh: bool = False
    retry_failed: bool = False


OPTION_HELP: Mapping[str, str] = {
    "model": "model or list of models (vgg16, or vgg16,resnet18)",
    "splits": "cuts to measure: P3, P3-P9 (a range), P2+P5 (three devices), vgg16:P14 (one model); default: every cut",
    "granularity": "paper (the published block indices) or all (every single-tensor crossing)",
    "chains": "chains of the inventory; default: its default_chains",
    "networks": "network conditions of the inventory; default: every one",
    "transports": "how stages talk: tcp, rpc (PyTorch RPC), or both; default: both on a private network, else tcp",
    "tls": "encrypt what stages send each other, over tcp alone, with certificates made for this command",
    "engine": "what computes: eager, channels_last, onnxruntime, cudagraphs, best (the fastest on a device), or a list",
    "codec": "how activations travel: none, fp16, int8, lossless, or auto (the quickest on each hop), or a list",
    "budget": "quick (one run of each cell), normal, or paper (as published); sets what is not given itself",
    "batch": "images per batch, or a list",
    "batches": "measured batches per run",
    "cell_s": "measure fewer batches (at least 3, and window + 1) where they would take longer than this; 0: never",
    "warmup": "batches before them that are not measured",
    "repeats": "least runs of every cell",
    "most_repeats": "most runs of a cell, which goes on until the target is met",
    "target_percent": "half width of a cell's 95 % interval, in percent of its figure, at which no more runs are made",
    "window": "batches in flight, or a list; 1 gives latency, more gives throughput",
    "weights": "seeded, a torchvision weights name, or a .pth or .safetensors file",
    "num_classes": "outputs of the classifier (the published runs used 10)",
    "inputs": "default (two photographs), or a folder of images",
    "seed": "seed of the weights and of the order of cells",
    "timeout_s": "limit for one cell in seconds; 0 derives it from the estimate",
    "silence_s": "seconds (2 to 25) without a sign of life of a stage that end its cell; 15 survives 5 s offline",
    "patience_s": "how long to go on trying a device that was lost, once all else is done",
    "results": "folder for campaigns",
    "report": "draw tables and report.html at the end",
    "dry_run": "print the matrix and an estimate, touch no device",
    "fresh": "begin a new campaign instead of going on with the last one like it",
    "retry_failed": "run cells again that failed, timed out or were invalid",
}


def _splits(name: str, value: Any) -> tuple[str, ...]:
    words = () if value == "" else values.items(name, value)
    return () if words == ("all",) else words


def _model(name: str, word: str, granularity: str) -> str:
    try:
        return canonical_model(word)
    except ModelError as exc:
        if granularity == "paper":
            more = "; granularity=all takes any torchvision classification model"
            raise OptionError(f"option `{name}`: {unknown('model', word, PAPER)}{more}") from exc
        raise OptionError(f"option `{name}`: {exc}") from exc


def _models(name: str, value: Any, granularity: str) -> tuple[str, ...]:
    models = values.once(name, value, tuple(_model(name, word, granularity) for word in values.items(name, value)))
    for model in models:
        if granularity == "paper" and model not in PAPER:
            raise OptionError(
                f"option `{name}`: `{model}` has no published split points (those that have: "
                f"{', '.join(sorted(PAPER))}); remedy: granularity=all"
            )
    return models


def _path(name: str, text: str) -> Path:
    """Take what can be a path at all: no user that there is none of, no name that is too long."""
    try:
        path = Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise OptionError(f"option `{name}`: `{text[:80]}` is no path ({why}); remedy: give another") from exc
    return path


def _weights(name: str, value: Any) -> str:
    text = values.text(name, value)
    if text.endswith((".pth", ".pt", ".safetensors")) or "/" in text:
        path = _path(name, text)
        if not path.is_file():
            raise OptionError(f"option `{name}`: no file `{text}`; remedy: give a path to a .pth or .safetensors file")
        return str(path.resolve())
    return text


def _inputs(name: str, value: Any) -> str:
    text = values.text(name, value)
    if text == "default":
        return text
    path = _path(name, text)
    if not path.is_dir():
        raise OptionError(f"option `{name}`: no folder `{text}`; remedy: give a folder of images, or `default`")
    return str(path.resolve())


def _results(name: str, value: Any) -> str:
    text = values.text(name, value)
    _path(name, text)
    return text


def _silence(name: str, value: Any) -> float:
    """Take a limit that leaves stages the time to beat, and ends before an idle connection itself gives up (30 s)."""
    silence_s = values.seconds(name, value)
    if not _LEAST_SILENCE_S <= silence_s <= _MOST_SILENCE_S:
        raise OptionError(
            f"option `{name}`: got `{value}`, accepted: seconds from {_LEAST_SILENCE_S:g} to {_MOST_SILENCE_S:g}"
        )
    return silence_s


_PARSERS: Mapping[str, Callable[[str, Any], Any]] = {
    "splits": _splits,
    "granularity": lambda n, v: values.choice(n, v, GRANULARITIES),
    "chains": values.items,
    "networks": values.items,
    "transports": lambda n, v: tuple(values.choice(n, word, TRANSPORTS) for word in values.items(n, v)),
    "engine": lambda n, v: tuple(values.choice(n, word, ENGINES) for word in values.items(n, v)),
    "codec": lambda n, v: tuple(values.choice(n, word, CODECS) for word in values.items(n, v)),
    "batch": values.integers,
    "batches": lambda n, v: values.integer(n, v, 2),
    "warmup": lambda n, v: values.integer(n, v, 1),
    "repeats": lambda n, v: values.integer(n, v, 1),
    "most_repeats": lambda n, v: values.integer(n, v, 1),
    "target_percent": values.percent,
    "budget": lambda n, v: values.choice(n, v, BUDGET_NAMES),
    "window": values.integers,
    "weights": _weights,
    "num_classes": lambda n, v: values.integer(n, v, 1),
    "inputs": _inputs,
    "seed": lambda n, v: values.integer(n, v, 0),
    "cell_s": values.seconds,
    "timeout_s": values.seconds,
    "silence_s": _silence,
    "patience_s": values.seconds,
    "results": _results,
    "tls": values.boolean,
    "report": values.boolean,
    "dry_run": values.boolean,
    "fresh": values.boolean,
    "retry_failed": values.boolean,
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
    given = {name: parse(name, raw[name]) for name, parse in _PARSERS.items() if name in raw}
    given["model"] = _models("model", raw["model"], given.get("granularity", "paper"))
    options = Options(**fill_in(given))
    if options.batches <= max(options.window):
        raise OptionError(
            f"option `batches`: {options.batches} batches are no more than a window of {max(options.window)}, which "
            f"gives no throughput; remedy: batches={max(options.window) + 1} or more, or smaller windows"
        )
    if options.tls and "rpc" in options.transports:
        raise OptionError("option `tls`: what rpc sends cannot be encrypted; remedy: transports=tcp, or without tls")
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
