"""Granularity all finds every place that one tensor crosses, and no other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stage_runtime.errors import ModelError
from stage_runtime.models import zoo
from stage_runtime.models.paper_blocks import named_chain
from stage_runtime.models.traced_blocks import traced_blocks, traced_blocks_at


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(4, 1, 1))
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        scale = self.scale * 2  # of parameters alone, so it does not cross
        y = torch.relu(self.inner(x))
        x = x + y * scale
        return self.last(x) * scale[:2]


def _names(model: nn.Module, shape: tuple[int, ...] = (3, 8, 8)) -> list[str]:
    return [block.name for block in traced_blocks("model", model.eval(), shape)]


def _run(model: nn.Module, shape: tuple[int, ...] = (3, 8, 8)) -> None:
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    blocks = traced_blocks("model", model.eval(), shape)
    with torch.inference_mode():
        assert torch.equal(named_chain(blocks)(images.clone()), model(images.clone()))


def test_a_residual_is_not_cut_through() -> None:
    model = _Residual()
    # inside the branch two tensors cross; the constant made of parameters counts as none
    assert _names(model) == ["first", "add", "last", "mul_2"]
    _run(model)


def test_a_constant_is_computed_in_every_block_that_uses_it() -> None:
    blocks = traced_blocks("model", _Residual().eval(), (3, 8, 8))
    holders = [block.name for block in blocks if "scale" in dict(block.module.named_parameters())]
    assert holders == ["add", "mul_2"]


class _Sizes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch = x.shape[0]
        x = torch.relu(x)
        x = torch.sin(x)
        x = x.reshape(batch, -1)
        return torch.cos(x)


def test_a_size_that_is_still_needed_crosses_too() -> None:
    model = _Sizes()
    assert _names(model) == ["reshape", "cos"]
    _run(model)


class _Pieces(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(x)
        pieces = x.chunk(2, dim=1)  # one value, but two tensors
        x = pieces[0] * pieces[1]
        x = x.flatten(0, 1)  # the batch is no dimension of its own here
        return x.reshape(-1, 2, 64).sum(2)


def test_only_a_tensor_led_by_the_batch_may_cross() -> None:
    model = _Pieces()
    assert _names(model, (4, 8, 8)) == ["relu", "mul", "reshape", "sum_1"]
    _run(model, (4, 8, 8))


class _Unused(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x)
        torch._assert(x.shape[-1] > 2, "too narrow")  # still needs the input
        z = torch.sin(y)
        torch._assert(z.shape[-1] > 2, "too narrow")
        return torch.cos(z)


def test_a_check_stays_with_what_it_needs() -> None:
    model = _Unused()
    assert _names(model) == ["relu", "sin", "cos"]
    _run(model)
    blocks = traced_blocks("model", model, (3, 8, 8))
    with pytest.raises(AssertionError, match="too narrow"):
        blocks[0].module(torch.zeros(1, 3, 8, 1))


class _Defaults(nn.Module):
    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, *, twice: bool = True) -> torch.Tensor:
        if mask is not None:
            x = x * mask
        return torch.relu(x) * (2 if twice else 1)


def test_arguments_with_defaults_are_left_at_them() -> None:
    assert len(_names(_Defaults())) == 2
    _run(_Defaults())


def test_one_module_used_twice_lies_in_both_blocks() -> None:
    shared = nn.Conv2d(3, 3, 1)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(_names(model)) == 3
    _run(model)


class _Decides(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) if x.sum() > 0 else torch.sin(x)


class _Two(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.relu(x), torch.sin(x)


class _Whole(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_Decides(), "model cannot be traced by torch.fx"),
        (_Two(), "model does not return one tensor"),
        (_Whole(), "model does not return a tensor whose first dimension is the batch"),
        (nn.Conv2d(5, 1, 1), r"model does not run on an input of shape \(2, 3, 8, 8\)"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_the_reason(model: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        traced_blocks("model", model, (3, 8, 8))


def test_a_model_is_cut_again_by_the_names_of_its_blocks() -> None:
    model = zoo.build_on_meta("resnet18")
    names = [block.name for block in traced_blocks("resnet18", model, (3, 64, 64))]
    assert [block.name for block in traced_blocks_at("resnet18", model, names)] == names
    with pytest.raises(ModelError, match="resnet18 has no split point after 'elsewhere' here"):
        traced_blocks_at("resnet18", model, ["elsewhere", *names])
    with pytest.raises(ModelError, match="resnet18 has no split point after 'layer1_0_conv1' here"):
        traced_blocks_at("resnet18", model, ["layer1_0_conv1", names[-1]])
