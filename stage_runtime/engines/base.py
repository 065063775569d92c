"""What every engine offers: load a range of blocks for a batch size, run a batch, let go."""

from __future__ import annotations

from typing import Protocol

import torch

from stage_runtime.formats.cell import EngineName


class Blocks(Protocol):
    """Loaded blocks; valid until their engine loads others or lets go."""

    @property
    def engine(self) -> EngineName:
        """What computes them; never ``best``."""
        ...

    @property
    def load_ms(self) -> float:
        """How long they took to load."""
        ...

    def forward(self, batch: torch.Tensor, /) -> torch.Tensor:
        """Run the blocks on a batch that lies on the engine's device; the input is left as it is.

        The output may be the input itself, or a view of it, and stays as it is however often this is called again.
        """
        ...


class Engine(Protocol):
    """Loads blocks of models whose shards lie on this machine.  Not for use by several threads at once."""

    def load(self, manifest_id: str, first: int, last: int, batch: int, /) -> Blocks:
        """Load blocks ``[first, last)`` to run batches of ``batch`` images, and let go of all other blocks.

        Raises ModelError for a range that the model does not have, ShardError when a file is missing or
        altered, FormatError when the manifest is none, EngineError when this engine cannot run here.
        """
        ...

    def release(self) -> None:
        """Let go of all blocks."""
        ...
