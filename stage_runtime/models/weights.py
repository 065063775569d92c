"""Find a model's weights and put them into it.

Weights are ``seeded`` (the model's own random initialisation), the name of torchvision weights
(``IMAGENET1K_V1``, ``DEFAULT``), or a local ``.pth``, ``.pt`` or ``.safetensors`` file.
"""

from __future__ import annotations

import importlib
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from stage_runtime.errors import ModelError
from stage_runtime.files import sha256_of
from stage_runtime.formats.manifest import WeightsSource
from stage_runtime.models.names import SEEDED, input_size, is_user_model, is_weights_file
from stage_runtime.models.zoo import import_torchvision

State = OrderedDict[str, torch.Tensor]

_IMAGENET_CLASSES = 1000
_SHOWN = 5
# Heads that only training uses; the models are built without them.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
# Torchvision's DenseNet weights were saved under older names.
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")


class FoundWeights(NamedTuple):
    """Weights that exist: what the manifest records of them, how to read them, for which input.

    ``load`` is None for seeded weights; ``input_size`` is the edge in pixels that they were made for.
    """

    record: WeightsSource
    load: Callable[[], State] | None
    input_size: int


def find_weights(model: str, weights: str, seed: int, num_classes: int) -> FoundWeights:
    """Find weights for a model (canonical name); ModelError names the accepted ones otherwise."""
    size = input_size(model)
    if weights == SEEDED:
        return FoundWeights(WeightsSource(kind="seeded", seed=seed), None, size)
    head_seed = seed if num_classes != _IMAGENET_CLASSES else None
    if is_weights_file(weights):
        path = Path(weights).expanduser()
        if not path.is_file():
            raise ModelError(f"no weights file at {path}")
        sha256 = sha256_of(path)
        published = _published_as(model, sha256)
        if published is None:
            record = WeightsSource(kind="file", name=path.name, sha256=sha256)
            return FoundWeights(record, lambda: _read_file(path), size)
        record = WeightsSource(kind="torchvision", name=published.name, sha256=sha256, seed=head_seed)
        return FoundWeights(record, lambda: _read_file(path), _crop_size(published))
    known = _torchvision_weights(model)
    name = weights.rpartition(".")[2]
    if name not in known:
        raise ModelError(
            f"{model} has no weights {weights!r}; one of: {', '.join((SEEDED, *known))}, "
            "or a local .pth, .pt or .safetensors file"
        )
    record = WeightsSource(kind="torchvision", name=known[name].name, seed=head_seed)
    return FoundWeights(record, lambda: _download(model, known[name]), _crop_size(known[name]))


def apply_weights(model_name: str, model: nn.Module, weights: FoundWeights, num_classes: int) -> None:
    """Put the weights into a freshly built model; seeded ones are there already.

    Where published weights are for 1000 classes and the model has another number, its last layer
    keeps its seeded values.  Raises ModelError that names the tensors that do not fit.
    """
    if weights.load is None:
        return
    state = weights.load()
    own = model.state_dict()
    # a safetensors file does not say the version of the model's modules, so that it is today's
    vars(state).setdefault("_metadata", vars(own)["_metadata"])
    for name in [name for name in state if name.startswith(_AUXILIARY) and name not in own]:
        del state[name]
    mismatched = [name for name, value in state.items() if name in own and own[name].shape != value.shape]
    kept: set[str] = set()
    if weights.record.kind == "torchvision":
        kept = {
            name
            for name in mismatched
            if state[name].shape[0] == _IMAGENET_CLASSES and own[name].shape[0] == num_classes
        }
        for name in kept:
            del state[name]
    wrong = [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in mismatched
        if name not in kept
    ]
    if wrong:
        raise _misfit(model_name, weights, num_classes, "wrong shapes", wrong)
    answer = model.load_state_dict(state, strict=False)
    missing = [name for name in answer.missing_keys if name not in kept]
    for what, names in (("missing", missing), ("unknown to the model", answer.unexpected_keys)):
        if names:
            raise _misfit(model_name, weights, num_classes, what, names)


def _misfit(model: str, weights: FoundWeights, num_classes: int, what: str, names: list[str]) -> ModelError:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ModelError(
        f"the weights {weights.record.name} do not fit {model} with {num_classes} classes; {what}: "
        f"{', '.join(names[:_SHOWN])}{more}; give the weights of this model, and their number of classes"
    )


def _torchvision_weights(model: str) -> dict[str, Any]:
    if is_user_model(model):
        return {}
    models = importlib.import_module(f"{import_torchvision().__name__}.models")
    return dict(models.get_model_weights(model).__members__)


def _published_as(model: str, sha256: str) -> Any | None:
    """Recognise torchvision's own file: its name ends with the beginning of its sha256."""
    for weights in _torchvision_weights(model).values():
        if weights.url.endswith(f"-{sha256[:8]}.pth"):
            return weights
    return None


def _crop_size(weights: Any) -> int:
    return int(weights.transforms().crop_size[0])


def _download(model: str, weights: Any) -> State:
    try:
        state: State = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as exc:
        raise ModelError(
            f"cannot get the weights {weights.name} of {model} ({exc}); fetch {weights.url} "
            "on a machine with internet and give the file's path instead"
        ) from exc
    return _with_todays_names(state)


def _read_file(path: Path) -> State:
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
    except (SafetensorError, RuntimeError, EOFError, OSError, pickle.UnpicklingError) as exc:
        raise ModelError(
            f"{path} cannot be read as weights ({str(exc).splitlines()[0] if str(exc) else exc!r}); "
            "it must hold tensors by name and nothing else, as torch.save(model.state_dict()) writes them"
        ) from exc
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"{path} holds no tensors by name; save model.state_dict() instead")
    if not isinstance(content, OrderedDict):
        content = OrderedDict(content)
    return _with_todays_names(content)


def _read_pickle(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _with_todays_names(state: State) -> State:
    for name in list(state):
        new = _OLD_DENSENET.sub(r"\1\2", name).removeprefix("module.")  # the latter is DataParallel's
        if new != name:
            state[new] = state.pop(name)
    return state
