"""Build models: torchvision's classification models and the user's own.

torchvision is imported here only, because the import needs help where its compiled operators do
not load (see :func:`import_torchvision`).
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from stage_runtime.errors import ModelError
from stage_runtime.models.names import is_user_model

# The auxiliary heads are for training only, and the initialisation is torchvision's own.
_KEYWORDS: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}
# Their published weights expect another normalisation, which the model then does first.
TRANSFORMS_INPUT = frozenset({"googlenet", "inception_v3"})

_FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.empty_strided})
_libraries: list[torch.library.Library] = []  # a declaration lasts as long as its library object


def import_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators do not load.

    A torchvision wheel built for CUDA beside a CPU build of torch fails to import with "operator
    torchvision::nms does not exist", since it registers fake kernels for operators that its
    library would have declared.  Declaring the two schemas first is enough for every
    classification model; none of them calls the operators.  They are declared only after the
    plain import failed in that way.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as exc:
        if "torchvision::" not in str(exc):
            raise
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch's own gap
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            schema = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(schema)  # type: ignore[no-untyped-call]  # torch's own gap
    _libraries.append(library)
    return importlib.import_module("torchvision")


def build(
    model: str, *, num_classes: int = 1000, image_size: int | None = None, transform_input: bool = False
) -> nn.Module:
    """Build a model by canonical name, in eval mode, with its own random initialisation.

    ``image_size`` (pixels) matters only to models with a fixed grid (the vision transformers).
    ``transform_input`` is for the models in :data:`TRANSFORMS_INPUT` and ignored by others.
    Raises ModelError when the user's module or function cannot be found or does not give a module.
    """
    if is_user_model(model):
        return _build_user_model(model, num_classes).eval()
    models = importlib.import_module(f"{import_torchvision().__name__}.models")
    keywords = dict(_KEYWORDS.get(model, {}))
    if model in TRANSFORMS_INPUT:
        keywords["transform_input"] = transform_input
    if model.startswith("vit_") and image_size is not None:
        keywords["image_size"] = image_size
    built: nn.Module = models.get_model(model, weights=None, num_classes=num_classes, **keywords)
    return built.eval()


def build_seeded(model: str, seed: int, **options: Any) -> nn.Module:
    """Build like :func:`build`, the random numbers coming from ``seed`` and nothing else changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(model, **options)


def build_on_meta(model: str, **options: Any) -> nn.Module:
    """Build like :func:`build`, without memory for the weights: every tensor is on ``meta``."""
    if is_user_model(model):
        _user_function(model)  # imported before, so that what its module holds stays as it is
    with _WeightsOnMeta():
        built = build(model, **options)
    on_meta = {id(tensor): torch.empty_like(tensor, device="meta") for tensor in built.buffers()}
    for parameter in built.parameters():
        on_meta[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), requires_grad=False)
    # a copy, because a user's function may give the same module again; copied without the weights
    return copy.deepcopy(built, on_meta)


class _WeightsOnMeta(TorchFunctionMode):
    """Put on ``meta`` what modules allocate their parameters with, and nothing else.

    ``torch.device("meta")`` would also catch small tensors that a constructor computes its
    widths from and then reads (RegNet does).
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _FACTORIES and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _user_function(model: str) -> Callable[..., Any]:
    module_name, _, function_name = model.partition(":")
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    except ModuleNotFoundError as exc:
        raise ModelError(
            f"model {model}: no module {exc.name!r} on this machine; "
            "it must be importable (PYTHONPATH) on the control node and on every device"
        ) from exc
    except AttributeError as exc:
        raise ModelError(f"model {model}: module {module_name} has no {function_name!r}") from exc
    return function


def _build_user_model(model: str, num_classes: int) -> nn.Module:
    function = _user_function(model)
    parameters = inspect.signature(function).parameters
    built = function(num_classes=num_classes) if "num_classes" in parameters else function()
    if not isinstance(built, nn.Module):
        raise ModelError(f"model {model}: the function returned {type(built).__name__}, not a torch module")
    return built
