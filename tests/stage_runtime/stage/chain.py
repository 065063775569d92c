"""A chain of stages inside one process: real services, a memory network, made-up blocks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file

from stage_runtime.engines.choice import Engines
from stage_runtime.formats.cell import Cell, EngineName
from stage_runtime.formats.manifest import BlockEntry, Manifest, TensorSpec, WeightsSource
from stage_runtime.formats.row import Measurement
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.stage.assembly import build_workplace
from stage_runtime.stage.service import Service
from stage_runtime.transports.base import Transport
from stage_runtime.transports.memory import MemoryTransport
from tests.stage_runtime.stage.processes import make_cell, stage_config

SECRET = b"0123456789abcdef"
BLOCKS = 4
IMAGES = 6
# a batch of two is 128 kB: twice what a direction of the memory network holds
SHAPE = (16, 1000)

Hook = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class Blocks:
    """What a loader gives: every block triples its input and adds its index."""

    first: int
    last: int
    hook: Hook
    load_ms: float = 1.0
    engine: EngineName = "eager"

    def forward(self, tensor: torch.Tensor, /) -> torch.Tensor:
        for block in range(self.first, self.last):
            tensor = tensor * 3 + block
        return self.hook(tensor)


@dataclass
class Loader:
    """Loads made-up blocks; a test sets the hooks to what should go wrong."""

    before_load: Callable[[], None] = lambda: None
    after_forward: Hook = lambda tensor: tensor
    loads: list[tuple[int, int]] = field(default_factory=list)

    def load(self, manifest_id: str, first: int, last: int, batch: int, /) -> Blocks:
        assert batch >= 1
        assert manifest_id == "made-up"
        self.loads.append((first, last))
        self.before_load()
        return Blocks(first, last, self.after_forward)

    def release(self) -> None:
        """Hold nothing."""


@dataclass
class Device:
    """One stage of the chain."""

    config: StageConfig
    service: Service
    loader: Loader


def expected_output(images: torch.Tensor, batch: int, batches: Sequence[int]) -> torch.Tensor:
    """Compute what the whole made-up model gives for these batch numbers."""
    wanted = [(number * batch + i) % IMAGES for number in batches for i in range(batch)]
    tensor = images[wanted]
    for block in range(BLOCKS):
        tensor = tensor * 3 + block
    return tensor


def made_up_manifest(shape: tuple[int, ...]) -> Manifest:
    """Describe a model of BLOCKS blocks that keep the shape."""
    spec = TensorSpec(shape=shape, dtype="float32", bytes_per_sample=4 * torch.Size(shape).numel())
    blocks = tuple(
        BlockEntry(index=i, name=f"b{i}", sha256="0" * 64, file_bytes=0, parameter_bytes=0, output=spec)
        for i in range(BLOCKS)
    )
    return Manifest(
        schema=1,
        manifest_id="made-up",
        model="made_up",
        granularity="all",
        num_classes=10,
        weights=WeightsSource(kind="seeded", seed=0),
        input=spec,
        blocks=blocks,
        split_points=tuple(range(1, BLOCKS)),
        torch="",
        torchvision="",
    )


def write_cache(cache: Path, shape: tuple[int, ...]) -> tuple[Manifest, torch.Tensor]:
    """Write the manifest and the inputs where a device has them."""
    manifest = made_up_manifest(shape)
    folder = cache / "shards" / manifest.manifest_id
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    images = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(1))
    (cache / "inputs").mkdir()
    save_file({"images": images}, cache / "inputs" / "inputs.safetensors")
    return manifest, images


@contextlib.contextmanager
def chain(folder: Path, cache: Path, count: int, transport: Transport | None = None) -> Iterator[list[Device]]:
    """Run ``count`` services on one network."""
    network = transport or MemoryTransport()
    devices = []
    for number in range(1, count + 1):
        config = stage_config(folder, cache, number, SECRET)
        loader = Loader()
        workplace = build_workplace(config, network, SECRET, Engines({"eager": loader}))
        service = Service(config, workplace, network.listen(config.data_address, config.port), SECRET)
        threading.Thread(target=service.accept_neighbours, daemon=True).start()
        devices.append(Device(config, service, loader))
    try:
        yield devices
    finally:
        for device in devices:
            device.service.stop("the test is over")
            device.service.shut_down()


class Chain:
    """Three devices, the model, and its images."""

    def __init__(self, devices: list[Device], manifest: Manifest, images: torch.Tensor, folder: Path) -> None:
        self.devices = devices
        self.manifest = manifest
        self.images = images
        self.folder = folder

    def cell(self, cut: tuple[int, ...] = (1, 2), **changes: Any) -> Cell:
        configs = [device.config for device in self.devices]
        return make_cell(configs, self.manifest, cut, **{"timeout_s": 30.0} | changes)

    def run(self, cut: tuple[int, ...] = (1, 2), **changes: Any) -> Measurement:
        return self.devices[0].service.lead(self.cell(cut, **changes)).measure()
