"""Small models of a user's, each with something that a graph could get wrong."""

from __future__ import annotations

import torch
from torch import nn


class Small(nn.Module):
    """Writes in place, repeats a normalisation, reshapes by the batch size, and shifts by a computed buffer."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8))
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, num_classes)
        self.register_buffer("shift", self.head.weight.detach().sum(0) + 2, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the scores (N, classes)."""
        images.mul_(2)
        crossing = self.relu(self.first(images))
        crossing = self.relu(self.second(crossing) + crossing)
        pooled = self.drop(crossing.mean((2, 3)).view(images.shape[0], -1))
        scores: torch.Tensor = self.head(pooled + self.shift)
        return scores


def small(num_classes: int) -> nn.Module:
    """Build one."""
    return Small(num_classes)


class Sorted(nn.Module):
    """Calls what no exporter knows, but any tracer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the scores (N, 4)."""
        ranked = torch.special.airy_ai(images).mean((2, 3))
        scores: torch.Tensor = self.head(ranked)
        return scores


def not_exportable() -> nn.Module:
    """Build one."""
    return Sorted()
