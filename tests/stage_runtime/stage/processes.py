"""Real stage processes on loopback, for the tests that need them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from stage_runtime.formats.cell import Cell, CellStage
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.stage_config import StageConfig, WorldConfig, WorldMember

CHECKOUT = Path(__file__).parents[3]
CONTROL = CHECKOUT / "stage_runtime" / "control.py"
_START_S = 60.0


@dataclass
class StageProcess:
    """One running stage."""

    config: StageConfig
    process: subprocess.Popen[str]

    def control(self, *arguments: str) -> dict[str, Any]:
        """Run the control command and give its answer."""
        command = [sys.executable, "-I", "-S", str(CONTROL), "--socket", self.config.control_socket]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.stdout.count("\n") == 1, (done.stdout, done.stderr)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def run(self, cell: Cell, save_output: Path | None = None) -> dict[str, Any]:
        """Run a cell with this stage as its first."""
        save = ["--save-output", str(save_output)] if save_output else []
        return self.control(*save, "run", encode_cell(cell))

    def log(self) -> str:
        """Give what the stage logged."""
        return Path(self.config.log_file).read_text()


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait for something that takes other processes a moment; give up after a generous while."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def encode_cell(cell: Cell) -> str:
    """Write a cell as the control command takes it."""
    return base64.b64encode(msgspec.json.encode(cell)).decode()


def free_port(address: str) -> int:
    """Find a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def stage_config(folder: Path, cache: Path, number: int, secret: bytes, **changes: Any) -> StageConfig:
    """Configure stage ``number`` (from 1), on 127.0.0.<number>."""
    home = folder / f"dev{number}"
    home.mkdir(parents=True, exist_ok=True)
    secret_file = home / "secret"
    secret_file.touch(mode=0o600)
    secret_file.write_bytes(secret)
    address = f"127.0.0.{number}"
    values: dict[str, Any] = {
        "device": f"dev{number}",
        "data_address": address,
        "port": free_port(address),
        "control_socket": str(home / "s"),
        "shards_dir": str(cache / "shards"),
        "inputs_dir": str(cache / "inputs"),
        "secret_file": str(secret_file),
        "log_file": str(home / "stage.log"),
        "lease_file": str(home / "link.lease"),
        "threads": 1,
    }
    return StageConfig(**values | changes)


def start(config: StageConfig) -> subprocess.Popen[str]:
    """Start a stage process without waiting for it."""
    path = Path(config.control_socket).with_name("stage.json")
    path.write_bytes(msgspec.json.encode(config))
    return subprocess.Popen(
        [sys.executable, "-m", "stage_runtime.stage", "--config", str(path), "--tag", "test"],
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_ready(stage: StageProcess) -> None:
    """Wait for the stage's control socket."""
    end = time.monotonic() + _START_S
    while not Path(stage.config.control_socket).exists():
        assert stage.process.poll() is None, stage.process.stderr.read() if stage.process.stderr else ""
        assert time.monotonic() < end, "the stage did not get ready"
        time.sleep(0.05)


def with_world(configs: Sequence[StageConfig], **changes: Any) -> list[StageConfig]:
    """Have the stages join an RPC world; they must all be on 127.0.0.1, which is its interface's first address."""
    members = tuple(
        WorldMember(device=config.device, address=config.data_address, port=config.port) for config in configs
    )
    values: dict[str, Any] = {
        "id": secrets.token_hex(4),
        "members": members,
        "store_port": free_port(configs[0].data_address),
    }
    world = WorldConfig(**values | changes)
    return [structs.replace(config, world=world) for config in configs]


@contextlib.contextmanager
def running_stages(configs: Sequence[StageConfig]) -> Iterator[list[StageProcess]]:
    """Run stage processes; they are ended, come what may."""
    running: list[StageProcess] = []
    try:
        running.extend(StageProcess(config, start(config)) for config in configs)
        for stage in running:
            wait_ready(stage)
        yield running
    finally:
        for stage in running:
            stage.process.kill()
            stage.process.communicate()


@contextlib.contextmanager
def stages(folder: Path, cache: Path, count: int, **changes: Any) -> Iterator[list[StageProcess]]:
    """Run ``count`` stage processes; they are ended, come what may."""
    with running_stages(stage_configs(folder, cache, count, **changes)) as running:
        yield running


def stage_configs(folder: Path, cache: Path, count: int, **changes: Any) -> list[StageConfig]:
    """Configure stages that share a secret."""
    secret = secrets.token_hex(16).encode()
    return [stage_config(folder, cache, number, secret, **changes) for number in range(1, count + 1)]


def make_cell(chain: Sequence[StageConfig], manifest: Manifest, cut: Sequence[int], **changes: Any) -> Cell:
    """Write a cell that cuts the manifest's model at ``cut`` over the first stages of the chain."""
    bounds = [0, *cut, len(manifest.blocks)]
    told = tuple(
        CellStage(
            device=config.device,
            address=config.data_address,
            port=config.port,
            first=bounds[i],
            last=bounds[i + 1],
        )
        for i, config in enumerate(chain[: len(bounds) - 1])
    )
    values: dict[str, Any] = {
        "cell_id": "0" * 16,
        "repeat": 0,
        "model": manifest.model,
        "granularity": manifest.granularity,
        "cut": tuple(cut),
        "split": "+".join(f"P{point}" for point in cut) or f"only:{told[0].device}",
        "chain": "loop",
        "devices": tuple(stage.device for stage in told),
        "network": "loopback",
        "transport": "tcp",
        "engine": "eager",
        "codec": "none",
        "batch": 2,
        "batches": 3,
        "warmup": 1,
        "window": 1,
        "manifest_id": manifest.manifest_id,
        "inputs_id": "inputs",
        "seed": 0,
        "timeout_s": 60.0,
        "stages": told,
    }
    return Cell(**values | changes)
