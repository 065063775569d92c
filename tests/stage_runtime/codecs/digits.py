"""A small MobileNetV2 that is trained here, on the handwritten digits that ship with scikit-learn.

It reaches the stages as any user's model does: as ``tests.stage_runtime.codecs.digits:build`` with a weights file, and
photographs in a folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from stage_runtime.inputs.photographs import prepare_images
from stage_runtime.models.zoo import import_torchvision

MODEL = f"{__name__}:build"
PIXELS = 16
TESTED = 200
_EPOCHS, _BATCH = 5, 64
# expansion, channels, repeats, first stride
_BLOCKS = [[1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 2, 2]]


def build(num_classes: int = 10) -> nn.Module:
    """Build the network without weights."""
    import_torchvision()
    from torchvision.models import MobileNetV2  # noqa: PLC0415  (its import may need help)

    network: nn.Module = MobileNetV2(num_classes, inverted_residual_setting=_BLOCKS, dropout=0.0)
    return network


def write_pictures(folder: Path) -> tuple[list[Path], torch.Tensor]:
    """Write every digit as a picture, the tested ones into ``folder/tested``; give paths and labels, those first."""
    digits = load_digits()
    paths = []
    for number, pixels in enumerate(digits.images):
        path = folder / ("tested" if number < TESTED else "learnt") / f"{number:04}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(path)
        paths.append(path)
    return paths, torch.from_numpy(digits.target)


def train(paths: list[Path], labels: torch.Tensor, weights: Path) -> None:
    """Train the network on all but the tested digits and save its weights; some seconds on one core."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = build().train()
        images = torch.from_numpy(prepare_images(tuple(paths[TESTED:]), PIXELS, len(paths) - TESTED))
        wanted = labels[TESTED:]
        steps = _EPOCHS * (len(images) // _BATCH)
        optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=steps)
        for _ in range(_EPOCHS):
            for chosen in torch.randperm(len(images))[: len(images) // _BATCH * _BATCH].split(_BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(images[chosen]), wanted[chosen]).backward()
                optimiser.step()
                schedule.step()
    torch.save(network.state_dict(), weights)
