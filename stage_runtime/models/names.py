"""The names of the models, without importing torch.

A model is one of torchvision's classification models, by its own name (``mobilenet_v2``) or any
spelling of it that differs in case, dashes, underscores or spaces (``MobileNetV2``,
``inception-v3``), or a function of the user's that returns a module, as ``package.module:function``.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from stage_runtime.errors import ModelError
from stage_runtime.formats.manifest import Granularity

SEEDED = "seeded"
WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")
GRANULARITIES: tuple[Granularity, ...] = ("paper", "all")


class PaperModel(NamedTuple):
    """One of ParetoPipe's six models: its number of split points and its input's edge in pixels."""

    split_points: int
    input_size: int


PAPER: dict[str, PaperModel] = {
    "alexnet": PaperModel(12, 224),
    "inception_v3": PaperModel(19, 299),
    "mobilenet_v2": PaperModel(18, 224),
    "resnet18": PaperModel(8, 224),
    "resnet50": PaperModel(16, 224),
    "vgg16": PaperModel(30, 224),
}

# torchvision's own list needs torch; a test holds this copy against it.
_TORCHVISION = """
    alexnet convnext_base convnext_large convnext_small convnext_tiny
    densenet121 densenet161 densenet169 densenet201
    efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5
    efficientnet_b6 efficientnet_b7 efficientnet_v2_l efficientnet_v2_m efficientnet_v2_s
    googlenet inception_v3 maxvit_t mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3
    mobilenet_v2 mobilenet_v3_large mobilenet_v3_small
    regnet_x_16gf regnet_x_1_6gf regnet_x_32gf regnet_x_3_2gf regnet_x_400mf regnet_x_800mf regnet_x_8gf
    regnet_y_128gf regnet_y_16gf regnet_y_1_6gf regnet_y_32gf regnet_y_3_2gf regnet_y_400mf
    regnet_y_800mf regnet_y_8gf
    resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x8d resnext101_64x4d resnext50_32x4d
    shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
    squeezenet1_0 squeezenet1_1 swin_b swin_s swin_t swin_v2_b swin_v2_s swin_v2_t
    vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn
    vit_b_16 vit_b_32 vit_h_14 vit_l_16 vit_l_32 wide_resnet101_2 wide_resnet50_2
"""
TORCHVISION: tuple[str, ...] = tuple(_TORCHVISION.split())

DEFAULT_INPUT_SIZE = 224
# Where torchvision's own evaluation of the model does not use 224 pixels.
_INPUT_SIZES: dict[str, int] = {
    "inception_v3": 299,
    "efficientnet_b1": 240,
    "efficientnet_b2": 288,
    "efficientnet_b3": 300,
    "efficientnet_b4": 380,
    "efficientnet_b5": 456,
    "efficientnet_b6": 528,
    "efficientnet_b7": 600,
    "efficientnet_v2_s": 384,
    "efficientnet_v2_m": 480,
    "efficientnet_v2_l": 480,
    "swin_v2_b": 256,
    "swin_v2_s": 256,
    "swin_v2_t": 256,
}

_USER_MODEL = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def canonical_model(name: str) -> str:
    """Give the canonical name of a model, whatever the spelling.

    Raises ModelError that lists the accepted names when there is no such model.  A user's
    ``module:function`` is given back as it is; whether it exists is seen when it is built.
    """
    if is_user_model(name):
        return name
    written = re.sub(r"[\s.-]", "_", name.strip()).lower()
    if written in TORCHVISION:
        return written
    wanted = _squash(name)
    spelt = [known for known in TORCHVISION if _squash(known) == wanted]
    if len(spelt) == 1:
        return spelt[0]
    if spelt:  # regnet_x_1_6gf and regnet_x_16gf differ in nothing but an underscore
        raise ModelError(f"ambiguous model {name!r}; write one of: {', '.join(spelt)}")
    near = get_close_matches(wanted, [_squash(known) for known in TORCHVISION], n=3)
    hint = [known for known in TORCHVISION if _squash(known) in near]
    raise ModelError(
        f"unknown model {name!r}"
        + (f" (did you mean {', '.join(hint)}?)" if hint else "")
        + f"; with paper split points: {', '.join(PAPER)}; with granularity all also: "
        + f"{', '.join(known for known in TORCHVISION if known not in PAPER)}; "
        + "or a function that returns a module, as package.module:function"
    )


def is_user_model(name: str) -> bool:
    """Say whether the name is a user's ``package.module:function``."""
    return _USER_MODEL.fullmatch(name) is not None


def is_weights_file(weights: str) -> bool:
    """Say whether a ``weights`` option names a file rather than published weights."""
    return weights.endswith(WEIGHTS_SUFFIXES)


def check_granularity(model: str, granularity: str) -> Granularity:
    """Give the granularity back, or raise ModelError when there is none such for this model."""
    for known in GRANULARITIES:
        if granularity == known:
            break
    else:
        raise ModelError(f"unknown granularity {granularity!r}; one of: {', '.join(GRANULARITIES)}")
    if known == "paper" and model not in PAPER:
        raise ModelError(f"{model} has no paper split points; take granularity all, or one of: {', '.join(PAPER)}")
    return known


def input_size(model: str) -> int:
    """Give the edge in pixels of the square images that a model is run on (canonical name)."""
    return _INPUT_SIZES.get(model, DEFAULT_INPUT_SIZE)


def _squash(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).lower()
