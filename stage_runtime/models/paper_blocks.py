"""ParetoPipe's block indices for its six models ("Where to Split?", January 2026).

Point ``P<k>`` cuts before block ``k``; blocks are named after the module that they end with,
and the last one is the ``tail``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import nn

from stage_runtime.errors import ModelError


class Block(NamedTuple):
    """One block of a chain: its name and the module that computes it."""

    name: str
    module: nn.Module


_INCEPTION_CHILDREN = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
    *("maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d"),
    *("Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool"),
)


def paper_blocks(name: str, model: nn.Module) -> list[Block]:
    """Cut one of the six models (canonical ``name``) into its published blocks, in order.

    The blocks share their weights with ``model``; run one after another in eval mode they compute
    what it computes.
    """
    match name:
        case "alexnet" | "vgg16":
            return _features(model, pooling=_child(model, "avgpool"))
        case "mobilenet_v2":
            return _features(model, pooling=nn.AdaptiveAvgPool2d(1))
        case "resnet18":
            return _resnet(model, stem_apart=False)
        case "resnet50":
            return _resnet(model, stem_apart=True)
        case "inception_v3":
            return _inception(model)
    raise ModelError(f"{name} has no paper split points; take granularity all")


def _features(model: nn.Module, *, pooling: nn.Module) -> list[Block]:
    children = list(_child(model, "features").named_children())
    blocks = [Block(f"features.{index}", child) for index, child in children[:-1]]
    tail = _chain(
        (f"features_{children[-1][0]}", children[-1][1]),
        ("pooling", pooling),
        ("flatten", nn.Flatten(1)),
        ("classifier", _child(model, "classifier")),
    )
    return [*blocks, Block("tail", tail)]


def _resnet(model: nn.Module, *, stem_apart: bool) -> list[Block]:
    stem = [(name, _child(model, name)) for name in ("conv1", "bn1", "relu", "maxpool")]
    residual = [
        (f"layer{layer}.{index}", block)
        for layer in (1, 2, 3, 4)
        for index, block in _child(model, f"layer{layer}").named_children()
    ]
    head = [
        ("avgpool", _child(model, "avgpool")),
        ("flatten", nn.Flatten(1)),
        ("fc", _child(model, "fc")),
    ]
    if not stem_apart:
        first_name, first = residual[0]
        blocks = [Block(first_name, _chain(*stem, ("block", first)))]
        blocks += [Block(name, block) for name, block in residual[1:]]
        return [*blocks, Block("tail", _chain(*head))]
    last = residual[-1][1]
    blocks = [Block("stem", _chain(*stem))]
    blocks += [Block(name, block) for name, block in residual[:-1]]
    return [*blocks, Block("tail", _chain(("block", last), *head))]


def _inception(model: nn.Module) -> list[Block]:
    blocks = [Block(name, _child(model, name)) for name in _INCEPTION_CHILDREN]
    if cast("bool", model.transform_input):
        blocks[0] = Block(blocks[0].name, _chain(("transform", InceptionInput()), ("conv", blocks[0].module)))
    tail = _chain(("dropout", _child(model, "dropout")), ("flatten", nn.Flatten(1)), ("fc", _child(model, "fc")))
    return [*blocks, Block("tail", tail)]


class InceptionInput(nn.Module):
    """Turn ImageNet's normalisation into the one that InceptionV3's published weights expect.

    Channel by channel ``x * (std / 0.5) + (mean - 0.5) / 0.5``, in torchvision's own order of
    operations, so that the result is the same to the last bit.
    """

    _MEAN = (0.485, 0.456, 0.406)
    _STD = (0.229, 0.224, 0.225)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the images (N, 3, H, W), normalised anew."""
        channels = [images[:, i].unsqueeze(1) * (self._STD[i] / 0.5) + (self._MEAN[i] - 0.5) / 0.5 for i in range(3)]
        return torch.cat(channels, 1)


def _child(model: nn.Module, name: str) -> nn.Module:
    return model.get_submodule(name)


def _chain(*modules: tuple[str, nn.Module]) -> nn.Sequential:
    return named_chain(modules)


def named_chain(modules: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    """Chain modules under their own names."""
    return nn.Sequential(OrderedDict(modules)).eval()
