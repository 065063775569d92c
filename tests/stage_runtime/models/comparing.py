"""What the tests of split models share: live weights, how outputs are compared, and which models take long."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stage_runtime.formats.manifest import Manifest

MakeShards = Callable[..., tuple[Manifest, Path]]


def mark_long(parameters: Iterable[tuple[Any, ...]], names: Collection[str]) -> list[Any]:
    """Mark those of a test's parameters, each a model's name and more, whose models are for ``make test-models``."""
    return [pytest.param(*values, marks=[pytest.mark.models] * (values[0] in names)) for values in parameters]


def relative_error(output: torch.Tensor, expected: torch.Tensor) -> float:
    """Give the largest difference, as a share of the largest expected value."""
    assert output.shape == expected.shape
    assert output.dtype == expected.dtype
    return float((output - expected).abs().max() / expected.abs().max())


def enliven(model: nn.Module, size: int, seed: int) -> None:
    """Give a model weights that all matter, as training would.

    Fresh models hide mistakes: their batch normalisations are all alike, some end in a layer of
    zeros, and others shrink the signal until every input gives the same output.  So every
    parameter is moved a little, and the batch normalisations learn their statistics from noise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.mul_(0.9 + 0.2 * noise).add_(0.02 * (noise - 0.5))
        normalisations = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
        for part in normalisations:
            part.momentum = None  # the plain mean over the batches
            part.train()
        if normalisations:
            dtype = next(model.parameters()).dtype
            model(torch.randn(4, 3, size, size, generator=generator, dtype=dtype))
    model.eval()
