"""Activation memory against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from stage_runtime.profiling.memory import ActivationMemory, activation_peaks, cuda_activation_peaks

UNIT = 2 * 4 * 8 * 8 * 4  # bytes of a batch of 2 with 4 channels of 8 x 8 floats
SHAPE = (2, 4, 8, 8)


class Residual(nn.Module):
    """Two convolutions of equal shape and a way round them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        inner = torch.relu_(self.first(batch))
        inner = self.second(inner)
        return inner + batch


class Parameters(nn.Module):
    """Gives views of its own parameter, which is no activation."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.zeros(1000))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch * self.own[:1].view(1)


def conv(out: int) -> nn.Conv2d:
    return nn.Conv2d(4, out, 1)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("make_steps", "expected"),
    [
        # input and output of the convolution; then its output alone, worked on in place
        (lambda: (conv(8), nn.ReLU(inplace=True)), (3 * UNIT, 2 * UNIT)),
        (lambda: (conv(8), nn.ReLU()), (3 * UNIT, 4 * UNIT)),
        # within one block the convolution's input stays: the block's caller holds it
        (lambda: (nn.Sequential(conv(4), nn.ReLU()),), (3 * UNIT,)),
        (lambda: (nn.Sequential(conv(4), nn.ReLU(inplace=True), conv(4)),), (3 * UNIT,)),
        # input, what the first convolution gave, and the second's; then the second's and the sum
        (lambda: (Residual(),), (3 * UNIT,)),
        (lambda: (Residual(), Residual()), (3 * UNIT, 3 * UNIT)),
        # a view takes nothing; a large block's input is let go of before a small one runs
        (lambda: (nn.Flatten(), nn.Linear(256, 256)), (UNIT, 2 * UNIT)),
        (lambda: (conv(16), conv_from(16, 1), nn.Identity()), (5 * UNIT, 4 * UNIT + UNIT // 4, UNIT // 4)),
        (lambda: (Parameters(),), (2 * UNIT,)),
        (lambda: (nn.Identity(),), (UNIT,)),
    ],
    ids=[
        "conv, relu in place", "conv, relu", "chain in a block", "in place in a block", "residual", "two residuals",
        "flatten", "let go", "parameters", "identity",
    ],
)  # fmt: skip
def test_peaks_are_those_worked_out_by_hand(
    make_steps: Callable[[], tuple[nn.Module, ...]], expected: tuple[int, ...], device: str
) -> None:
    steps = nn.Sequential(*make_steps()).eval().to(device)
    assert activation_peaks(steps, lambda: torch.zeros(SHAPE, device=device)) == expected


def conv_from(channels: int, out: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 1)


def test_a_storage_counts_until_its_last_view_is_gone() -> None:
    with torch.no_grad(), ActivationMemory() as memory:
        whole = torch.zeros(100)
        part = whole[:10]
        assert memory.live_bytes == 400
        del whole
        assert memory.live_bytes == 400
        del part
        assert (memory.live_bytes, memory.peak_bytes) == (0, 400)
        again = torch.zeros(5)
        memory.restart()
        assert (memory.live_bytes, memory.peak_bytes) == (20, 20)
        del again


def test_what_outlives_the_counting_does_no_harm() -> None:
    with torch.no_grad(), ActivationMemory() as memory:
        left = torch.zeros(100)
    del left
    assert memory.live_bytes == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_counts_at_least_what_the_tensors_take() -> None:
    device = torch.device("cuda:0")
    steps = nn.Sequential(conv(8), nn.ReLU(inplace=True)).eval().to(device)
    with torch.inference_mode():
        steps(torch.zeros(SHAPE, device=device))
    first, second = cuda_activation_peaks(steps, lambda: torch.zeros(SHAPE, device=device), device)
    assert first >= 3 * UNIT
    assert 2 * UNIT <= second <= first
